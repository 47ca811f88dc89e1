"""Rib, the expression language of HTTP APIs: from the text of a script to a value (reference gateway, section 2).

Promises that whatever text is given, reading, checking and evaluating it ends in bounded time with a value or an error
that says where. Depends on the model alone.
"""
