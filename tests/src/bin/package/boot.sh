#!/bin/sh
# Makes a machine of a folder with Debian in it, whose first process is its service manager. Runs in namespaces of its own.
# usage: boot.sh ROOT
set -e
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
# What is outside is out of reach from here on.
mkdir -p outside
pivot_root . outside
umount -l /outside
exec env -i container=namespaces PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/lib/systemd/systemd
