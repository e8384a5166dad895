"""How Django, and so the admin, writes what it formats by itself, one folder a language."""
