# Flask-Login 0.6.3 has no annotations. Only what the project uses is described here.
from flask_login.login_manager import LoginManager as LoginManager
from flask_login.utils import current_user as current_user
from flask_login.utils import login_user as login_user
