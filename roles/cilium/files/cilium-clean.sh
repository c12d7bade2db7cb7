#!/bin/bash
# Managed by casa-install
# Takes away what Cilium leaves in the kernel of a host that is no node any more.
set -euo pipefail
pod_network=${1:?addresses of pods in CIDR form}
changed=

# Pinned links hold the programs on interfaces and control groups; without them the kernel lets go.
for pins in /sys/fs/bpf/cilium /sys/fs/bpf/tc; do
  if [ -e "$pins" ]; then
    rm --recursive --force "$pins"
    changed=1
  fi
done

while read -r interface; do
  ip link delete "$interface" 2>/dev/null && changed=1
done < <(ip -o link show | grep --only-matching --extended-regexp '\b(lxc[0-9a-z_]+|cilium_[a-z]+)\b' | sort --unique)

# Routes to pods, and the tables that only Cilium fills.
while read -r route; do
  read -ra words <<<"$route"
  ip route delete "${words[@]}" && changed=1
done < <(ip route show root "$pod_network" proto kernel)
while read -r priority; do
  ip rule delete priority "$priority" && changed=1
done < <(ip rule show | grep --extended-regexp 'lookup (2004|2005)\b' | cut --delimiter=: --fields=1)
for table in 2004 2005; do
  ip route flush table "$table" 2>/dev/null || true
done

for tool in iptables ip6tables; do
  if rules=$("$tool-save" 2>/dev/null) && grep --quiet --extended-regexp 'CILIUM_|KUBE-' <<<"$rules"; then
    grep --invert-match --extended-regexp 'CILIUM_|KUBE-' <<<"$rules" | "$tool-restore"
    changed=1
  fi
done
[ -z "$changed" ] || echo changed
