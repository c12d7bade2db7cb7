#!/bin/bash
# Managed by casa-install
#
# Makes this host a node of the cluster, or no node at all; every command may be repeated, and finishes what an
# interrupted one began. The last line of the output is "changed" when something was.
#
#   kube-node init                        the control plane is up, with its present settings
#   kube-node authority                   print the hash of the cluster's authority
#   kube-node check AUTHORITY             print "absent" unless this host is a node of that cluster
#   kube-node invite NODE...              print a token with which hosts of these names may join
#   kube-node join AUTHORITY < SETTINGS   this host is a node of that cluster
#   kube-node appoint < APPOINTMENTS      nodes have their labels and taints, and none of another's
#   kube-node drain NODE SECONDS [force]  nothing runs on the node that can run elsewhere, and nothing new comes to it;
#                                         it fails when that takes longer; with "force", disruption budgets do not count
#   kube-node forget NODE                 the cluster has no such node, and no volume that lay there
#   kube-node clean                       this host is no node
#
# With --check before init, check and appoint, the output is the same and nothing is changed.
set -euo pipefail

settings=/etc/kubernetes/casa-install
# What the node was made with; written last, so that its absence means an unfinished node.
mark=/etc/kubernetes/casa-install.node
export KUBECONFIG=/etc/kubernetes/admin.conf

checking=
if [ "${1:-}" = --check ]; then
  checking=yes
  shift
fi

say() { printf 'kube-node: %s\n' "$*" >&2; }

# An interrupted installer leaves its commands running on the hosts: wait for them.
lock() {
  exec 9>/run/casa-kube-node.lock
  flock 9
}

ready_for_work() {
  lock
  sysctl --quiet --load=/etc/sysctl.d/90-casa-kubernetes.conf
}

# Does what changes something, or nothing when only asked what would be done.
act() {
  [ -n "$checking" ] || "$@" >&2
}

set_mark() {
  printf '%s\n' "$1" >"$mark.new"
  sync "$mark.new"
  mv "$mark.new" "$mark"
}

settings_hash() {
  sha256sum "$settings/kubeadm.yaml" | cut --delimiter=' ' --fields=1
}

# Signs that kubeadm has begun here.
begun() {
  [ -e /etc/kubernetes/pki ] || [ -e /etc/kubernetes/kubelet.conf ] || [ -e /etc/kubernetes/bootstrap-kubelet.conf ] ||
    [ -e /etc/kubernetes/admin.conf ] || [ -e /var/lib/kubelet/config.yaml ] || [ -e /var/lib/etcd/data ]
}

# kubeadm's last act is to deploy the cluster's DNS.
control_plane_complete() {
  [ -e "$KUBECONFIG" ] && kubectl --request-timeout=10s --namespace=kube-system get deployment coredns >/dev/null 2>&1
}

wait_for_api() {
  local _
  for _ in $(seq 120); do
    kubectl --request-timeout=5s get --raw=/readyz >/dev/null 2>&1 && return
    sleep 1
  done
  say "the API server is not ready after two minutes: see 'journalctl -u kubelet'" \
    "and /var/log/pods/kube-system_kube-apiserver-*"
  return 1
}

init() {
  act ready_for_work
  local wanted
  wanted=$(settings_hash)
  if [ -n "$checking" ]; then
    [ "$(cat "$mark" 2>/dev/null)" = "$wanted" ] || echo changed
    return
  fi
  if [ -e "$mark" ] && [ "$(cat "$mark")" = "$wanted" ]; then
    wait_for_api
    return
  fi
  if [ -e "$mark" ] || control_plane_complete; then
    say "bringing the control plane to its present settings"
    {
      kubeadm init phase etcd local --config="$settings/kubeadm.yaml"
      kubeadm init phase control-plane all --config="$settings/kubeadm.yaml"
      wait_for_api
      kubeadm init phase upload-config all --config="$settings/kubeadm.yaml"
      # kubeadm cannot renew a CoreDNS newer than its own.
      kubectl --namespace=kube-system set image deployment/coredns \
        "coredns=$(kubeadm config images list --config="$settings/kubeadm.yaml" | grep '/coredns:')"
      kubeadm upgrade node phase kubelet-config
      systemctl restart kubelet
      wait_for_api
    } >&2
  else
    if begun; then
      say "an unfinished control plane is taken away"
      clean >&2
    fi
    kubeadm init --config="$settings/kubeadm.yaml" --skip-token-print >&2
  fi
  set_mark "$wanted"
  echo changed
}

authority() {
  printf 'sha256:%s\n' "$(openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -pubkey |
    openssl pkey -pubin -outform DER | sha256sum | cut --delimiter=' ' --fields=1)"
}

kubelet_settings() {
  kubectl --kubeconfig=/etc/kubernetes/kubelet.conf --request-timeout=20s --namespace=kube-system \
    get configmap kubelet-config --output='jsonpath={.data.kubelet}'
}

check() {
  act ready_for_work
  local joined made
  read -r joined made < <(cat "$mark" 2>/dev/null) || true
  if [ "${joined:-}" != "$1" ]; then
    echo absent
    return
  fi
  local present
  present=$(kubelet_settings | sha256sum | cut --delimiter=' ' --fields=1)
  if [ "$made" != "$present" ]; then
    act kubeadm upgrade node phase kubelet-config
    act systemctl restart kubelet
    act set_mark "$1 $present"
    echo changed
  fi
}

invite() {
  # kubeadm refuses to join under the name of a node that is, or was a moment ago, ready.
  kubectl delete node --ignore-not-found "$@" >&2
  kubeadm token create --ttl=10m --description='casa-install: hosts join'
}

join() {
  lock
  if begun; then
    say "an unfinished or foreign node is taken away"
    clean >&2
  fi
  kubeadm join --config=/dev/stdin >&2
  set_mark "$1 $(kubelet_settings | sha256sum | cut --delimiter=' ' --fields=1)"
  echo changed
}

# One line for each node: its name, then a word for each label and taint: label:KEY=VALUE, taint:KEY=VALUE:EFFECT
present_attributes() {
  local template
  template=$(
    cat <<'END'
{{range .items}}{{.metadata.name}}{{range $key, $value := .metadata.labels}} label:{{$key}}={{$value}}{{end}}
{{- range .spec.taints}} taint:{{.key}}={{with .value}}{{.}}{{end}}:{{.effect}}{{end}} .
{{end}}
END
  )
  kubectl get nodes --output=go-template="$template"
}

set_attribute() { # NODE WORD
  local value=${2#*:}
  case $2 in
    label:*) act kubectl label node "$1" --overwrite "$value" ;;
    # kubectl writes a taint without a value without the equals sign.
    taint:*) act kubectl taint node "$1" --overwrite "${value/=:/:}" ;;
  esac
}

unset_attribute() { # NODE WORD
  local value=${2#*:}
  case $2 in
    label:*) act kubectl label node "$1" "${value%%=*}-" ;;
    taint:*) act kubectl taint node "$1" "${value%%=*}:${value##*:}-" ;;
  esac
}

appoint() {
  local appointments present node wanted has word changed=
  appointments=$(cat)
  present=$(present_attributes)
  local -a managed
  mapfile -t managed < <(grep --only-matching --extended-regexp '(label|taint):[^ ]+' <<<"$appointments" | sort --unique)
  while read -r node wanted; do
    # A host that has not joined yet gets its words when it does.
    has=$(grep "^$node " <<<"$present") || continue
    if [[ "$has" == *" label:casa/leaving=true "* ]]; then
      # a removal that was not gone on with
      act kubectl uncordon "$node"
      act kubectl label node "$node" casa/leaving-
      changed=1
    fi
    for word in "${managed[@]}"; do
      if [[ " $wanted " == *" $word "* ]]; then
        [[ "$has" == *" $word "* ]] && continue
        set_attribute "$node" "$word"
      else
        [[ "$has" == *" $word "* ]] || continue
        unset_attribute "$node" "$word"
      fi
      changed=1
    done
  done <<<"$appointments"
  [ -z "$changed" ] || echo changed
}

found_node() { # NODE
  kubectl --request-timeout=20s get node "$1" --ignore-not-found --output=name
}

# Pods without a controller end for good, users' servers among them: their own grace counts, as do disruption budgets.
drain() {
  local found
  found=$(found_node "$1")
  [ -n "$found" ] || return 0
  kubectl label node "$1" --overwrite casa/leaving=true >&2
  kubectl drain "$1" --ignore-daemonsets --delete-emptydir-data --force --timeout="$2s" \
    ${3:+--disable-eviction} >&2 && {
    echo changed
    return
  }
  say "not drained after $2 s; pods on $1:" "$(kubectl get pods --all-namespaces --no-headers \
    --field-selector="spec.nodeName=$1" \
    --output=custom-columns='NAME:.metadata.name,OWNER:.metadata.ownerReferences[0].kind' |
    awk '$2 != "DaemonSet" { printf "%s ", $1 }')"
  return 1
}

# Node, volume, namespace and claim, a line for each volume that can be used on one node alone.
local_volumes() {
  kubectl --request-timeout=20s get persistentvolumes --no-headers --output=custom-columns="\
NODE:.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0],NAME:.metadata.name,\
NAMESPACE:.spec.claimRef.namespace,CLAIM:.spec.claimRef.name"
}

forget() {
  local found volumes node volume namespace claim changed=
  found=$(found_node "$1")
  if [ -n "$found" ]; then
    kubectl delete node "$1" >&2
    changed=1
  fi
  volumes=$(local_volumes)
  while read -r node volume namespace claim; do
    [ "$node" = "$1" ] || continue
    # with its claim, or who has it would wait for this node for ever
    kubectl delete persistentvolumeclaim --namespace="$namespace" "$claim" --ignore-not-found --wait=false >&2
    kubectl delete persistentvolume "$volume" --ignore-not-found --wait=false >&2
    changed=1
  done <<<"$volumes"
  [ -z "$changed" ] || echo changed
}

# containerd may still be starting what kubelet asked for last: kubeadm does not see those.
end_containers() {
  local _ container
  local -a running
  for _ in $(seq 60); do
    mapfile -t running < <(ctr --namespace=k8s.io tasks list --quiet)
    [ "${#running[@]}" -gt 0 ] || return 0
    for container in "${running[@]}"; do
      ctr --namespace=k8s.io tasks kill --signal=SIGKILL "$container" || true
    done
    sleep 0.5
  done
  say "containers that do not end: ${running[*]}"
}

clean() {
  rm --force "$mark"
  systemctl stop kubelet || true
  if begun && systemctl is-active --quiet containerd; then
    # There is one member of etcd: nobody it could be removed from.
    kubeadm reset --force --skip-phases=remove-etcd-member --cri-socket=unix:///run/containerd/containerd.sock ||
      say "kubeadm reset failed; taking the node away without it"
    end_containers
  fi
  local mounted
  while read -r _ mounted _; do
    umount --lazy "$mounted" || true
  done < <(grep ' /var/lib/kubelet/' /proc/mounts)
  rm --recursive --force /etc/kubernetes/{admin,super-admin,kubelet,bootstrap-kubelet,controller-manager,scheduler}.conf \
    /etc/kubernetes/pki /etc/kubernetes/manifests/* /etc/kubernetes/tmp /var/log/pods/* /var/log/containers/* \
    /var/lib/etcd/data /var/lib/cni
  # The directory may be a mount point.
  find /var/lib/kubelet -mindepth 1 -delete 2>/dev/null || true
  # Control groups that outlive their pods slow the next kubelet's start.
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
}

command=${1:?one of init, authority, check, invite, join, appoint, drain, forget, clean}
shift
# no command that would change something all the same
if [ -n "$checking" ] && [[ $command != @(init|check|appoint) ]]; then
  say "--check is not for $command"
  exit 2
fi
case $command in
  init | authority | check | invite | join | appoint | drain | forget) "$command" "$@" ;;
  clean)
    lock
    clean >&2
    echo changed
    ;;
  *)
    say "no such command: $command"
    exit 2
    ;;
esac
