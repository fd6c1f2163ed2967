"""Types of the settings' values: each checks what flags, variables and files give, and may make it uniform.

A wrong value is a ValueError; pydantic takes no other error for one. People read the setting's `expects`
in place of the message, but for the errors in `loading._reason`, whose messages never hold a secret.
"""
