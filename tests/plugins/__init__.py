"""Plug-ins reached by a dotted path, as a third party would write them."""
