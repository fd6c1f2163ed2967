"""Settings by group: each setting once, in the module of the heading under which it is shown.

To add a setting:

* Add a field to its group's class, where it is to be shown. Its type is a `Literal`, `bool` or from `values`;
  the range of a number is `ge` and `le`. `shown` says what a computed default is, `expects` what is allowed
  where type and range do not.
* A default computed from other settings takes them from fields above it, in the same group.
* Add the name of a secret to `SECRETS` of `model`.
* `script/readme.py` and `script/addon.py` bring it to the documents, the chart and the add-on.
"""
