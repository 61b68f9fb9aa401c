# inside.sh BUSYBOX DIR COMMAND...
# Makes a machine of its own of the namespaces that it is started in, and becomes the command. It is their process 1:
# when the command ends, in whatever way, the kernel ends everything else in them.
set -eu
box=$1 dir=$2
shift 2
run() { "$box" "$@"; }

# Mounts of containers reach each other, and nothing outside: the namespace was made private.
run mount --make-rshared /
for place in /run /var/lib /var/log; do run mount -t tmpfs tmpfs "$place"; done
run mkdir -p /run/lock /run/netns

# Settings of the whole kernel, which a kubelet would change: it finds files that hold what it wants, and leaves the
# kernel's alone.
run mkdir -p "$dir/settings"
settle() {
  [ -e "/proc/sys/$1" ] || return 0
  file="$dir/settings/${1##*/}"
  echo "$2" > "$file"
  run mount --bind "$file" "/proc/sys/$1"
}
settle vm/overcommit_memory 1
settle kernel/panic 10
settle kernel/panic_on_oops 1
settle kernel/keys/root_maxkeys 1000000
settle kernel/keys/root_maxbytes 25000000

run hostname drplan-node
printf '127.0.0.1 localhost\n10.244.0.1 drplan-node\n' > "$dir/hosts"
run mount --bind "$dir/hosts" /etc/hosts

# A network of its own: Pods at the bridge, Services behind kube-proxy, and two addresses of other sites.
run ip link set lo up
run ip link add cni0 type bridge
run ip addr add 10.244.0.1/24 dev cni0
run ip addr add 10.245.0.2/32 dev cni0
run ip addr add 10.245.0.3/32 dev cni0
run ip link set cni0 up
run ip route add 10.96.0.0/16 dev cni0
echo 1 > /proc/sys/net/ipv4/ip_forward

# Everything that is written lies below this directory, which is removed from outside.
export TMPDIR="$dir"
exec "$@"
