#!/bin/busybox sh
# The first program of the computer in the computer: this system's files, read-only below and in memory
# above, and the command in them.
b=/bin/busybox
$b mkdir -p /proc /sys /below /above /root
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
    $b insmod "/modules/$module.ko" || echo "computer: cannot load $module"
done < /modules/order
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 files /below
$b mount -t tmpfs above /above
$b mkdir /above/upper /above/work
$b mount -t overlay -o lowerdir=/below,upperdir=/above/upper,workdir=/above/work files /root
for folder in proc sys dev; do
    $b mount --move "/$folder" "/root/$folder"
done
$b mkdir -p /root/dev/pts /root/dev/shm
$b mount -t devpts -o mode=620,ptmxmode=666 pts /root/dev/pts
$b mount -t tmpfs shm /root/dev/shm
$b mount -t tmpfs run /root/run
$b hostname computer
$b ip link set lo up
# All that is written from here on is the command's.
$b stty -F /root/dev/ttyS0 -opost
script=$($b sed "s/.*script=//" /root/proc/cmdline)
$b chroot /root /bin/sh "$script"
echo "computer: ended with $?"
$b poweroff -f
