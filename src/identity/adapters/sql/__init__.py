"""Storage in a SQL database: one schema and one set of repositories, on SQLAlchemy Core.

What databases do not agree about is in `dialects.py` and the modules it names, and nowhere else.
"""
