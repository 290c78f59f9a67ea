from flask_admin.contrib.sqla.view import ModelView as ModelView
