from flask_admin.model.base import BaseModelView as BaseModelView
from flask_admin.model.form import InlineFormAdmin as InlineFormAdmin
