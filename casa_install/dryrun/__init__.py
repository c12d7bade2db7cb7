"""What an apply would do: the phases' playbooks in Ansible's check mode, which changes nothing."""
