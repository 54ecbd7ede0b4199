"""Mail: its wording (`jinja`, `templates/`), its form (`mime`), and three ways for it to leave the house."""
