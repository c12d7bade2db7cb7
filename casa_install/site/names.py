"""Names of variables: settings, Ansible's own, and what looks like a slip in one of them."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

from casa_install.site.model import HostSettings, Settings

SITE_NAMES = tuple(f"casa_{name}" for name in Settings.model_fields)
HOST_NAMES = tuple(f"casa_{name}" for name in HostSettings.model_fields)
_ANSIBLE = """
    host port user password connection connection_user timeout pipelining private_key private_key_file
    private_key_passphrase host_key_checking control_path control_path_dir
    ssh_host ssh_port ssh_user ssh_pass ssh_password ssh_password_mechanism ssh_timeout ssh_pipelining ssh_private_key
    ssh_private_key_file ssh_private_key_passphrase ssh_host_key_checking ssh_args ssh_common_args ssh_extra_args
    ssh_executable ssh_pkcs11_provider ssh_retries ssh_transfer_method ssh_use_tty ssh_verbosity sshpass_prompt
    scp_executable scp_extra_args scp_if_ssh sftp_executable sftp_extra_args sftp_batch_mode
    paramiko_host paramiko_port paramiko_user paramiko_pass paramiko_password paramiko_timeout paramiko_private_key_file
    paramiko_proxy_command paramiko_host_key_checking paramiko_use_rsa_sha2_algorithms
    become become_method become_user become_pass become_password become_exe become_flags
    shell_type shell_executable executable shell_allow_world_readable_temp remote_tmp async_dir system_tmpdirs
    admin_users common_remote_group python_interpreter interpreter_python_fallback module_compression no_target_syslog
"""
BARE = tuple(word for each in (*SITE_NAMES, *HOST_NAMES) if "_" in (word := each.removeprefix("casa_")))
"""Settings without their head; a name of one word, such as domain, may well be the admin's own."""
ANSIBLE_NAMES = frozenset(f"ansible_{name}" for name in _ANSIBLE.split())
"""How Ansible reaches hosts and works on them."""
_OTHERS = """
    sudo su doas dzdo ksu machinectl pbrun pfexec pmrun run0 runas sesu sudosu
    docker podman buildah lxc lxd incus chroot jail oc kubectl libssh winrm psrp httpapi netconf persistent network
"""
"""Other ways to root and other connections, whose variables begin with their names."""
_OTHER_NAMES = tuple(f"ansible_{name}_" for name in _OTHERS.split())
_LIKENESS = 0.88
"""From here on a name is a slip: of nine letters one is another, or two have changed places."""


@cache
def intended(name: str) -> str | None:
    """The setting or the variable of Ansible's own that a strange name is a slip of; None for an admin's own name."""
    if name in ANSIBLE_NAMES or name.startswith(_OTHER_NAMES):
        return None
    known = {each: each for each in (*SITE_NAMES, *HOST_NAMES, *ANSIBLE_NAMES)}
    known |= {word: f"casa_{word}" for word in BARE}
    close = get_close_matches(name.lower(), known, n=1, cutoff=_LIKENESS)
    return known[close[0]] if close else None
