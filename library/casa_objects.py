#!/usr/bin/python
"""Ansible module: tells which objects of the cluster came or changed, after a task that hides what is in them."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: casa_objects
short_description: The journal learns of objects whose content is a secret
description:
  - A task with C(no_log) tells nobody what it has made. This one hands on what may be known of it.
  - It changes nothing and asks nobody.
options:
  kind:
    description: What the objects are.
    type: str
    required: true
  metadata:
    description: Their metadata as the cluster has it, without anything else of them.
    type: list
    elements: dict
    required: true
author: casa-install
"""

EXAMPLES = r"""
- name: The journal has the certificate
  casa_objects:
    kind: Secret
    metadata: "{{ [applied.result.metadata] if applied is changed else [] }}"
"""

RETURN = r"""
objects: {description: Each object's kind and metadata., returned: always, type: list}
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={
        "kind": {"type": "str", "required": True},
        "metadata": {"type": "list", "elements": "dict", "required": True},
    }, supports_check_mode=True)
    module.exit_json(changed=False, objects=[{"kind": module.params["kind"], "metadata": about}
                                             for about in module.params["metadata"]])


if __name__ == "__main__":
    main()
