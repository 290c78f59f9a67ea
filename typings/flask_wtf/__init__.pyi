# Flask-WTF 1.3.0 has no annotations. Only what the project uses is described here.
from flask_wtf.csrf import CSRFProtect as CSRFProtect
