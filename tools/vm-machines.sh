# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Part of tools/vm: the two kinds of machine. start_* sets VM_PID; BOOT_LIMIT is
# how many seconds the way to the command may take; ask_stacks_* makes a kernel
# that does not answer any more write its tasks' stacks to the console.

BOOT_LIMIT=60

start_uml() {
  # Room for the guest's memory, on tmpfs if possible (a disk would be written
  # to). The file has no name: nothing is left of it.
  local memory_dir=
  for memory_dir in /dev/shm /tmp /var/tmp ''; do
    if ((MEMORY + 64 < $(free_megabytes "$memory_dir"))); then break; fi
  done
  [[ -n $memory_dir ]] || fail "$EXIT_SETUP" \
    "no room for $MEMORY MiB of guest memory in /dev/shm, /tmp or /var/tmp (--memory takes less)"
  # seccomp rather than ptrace: 200,000 system calls took 6.8 s against 38 s.
  # "auto" still works with ptrace (one CPU) where a host forbids seccomp.
  TMPDIR=$memory_dir "$IMAGE" "mem=${MEMORY}M" "ncpus=$CPUS" seccomp=auto \
    root=/dev/root rootfstype=hostfs rootflags=/ ro "init=$RUN/init" "zcrx_run=$RUN" \
    "uml_dir=$RUN/" umid=uml con=null con0=null,fd:1 ssl=null \
    </dev/null >"$RUN/console" 2>"$RUN/machine-log" &
  VM_PID=$!
}

free_megabytes() { # DIRECTORY
  [[ -d $1 ]] || {
    echo 0
    return
  }
  df -Pk "$1" | awk 'NR == 2 {print int($4 / 1024)}'
}

# A sysrq by way of UML's management socket; its packets have a magic number, a
# version, a length and a text. perl-base is part of every Debian.
ask_stacks_uml() {
  perl -e '
    use Socket;
    socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die;
    bind($s, sockaddr_un("$ARGV[0]/asker")) or die;
    for my $command ("sysrq w", "sysrq t") {
      send($s, pack("LLLa512", 0xcafebabe, 2, length($command), $command), 0,
           sockaddr_un("$ARGV[0]/uml/mconsole")) or die;
    }' "$RUN"
}

start_qemu() {
  # Emulated, and the debug kernel is ten times slower still.
  BOOT_LIMIT=240
  local exports=() accelerator=tcg,thread=multi clock=()
  export_9p zroot / readonly=on
  export_9p zrun "$RUN"
  if [[ -n $OUT ]]; then export_9p zout "$OUT"; fi
  if [[ -n ${ZCRX_ICOUNT:-} ]]; then
    # Processors take turns then, and cannot be threads.
    accelerator=tcg clock=(-icount 'shift=0,sleep=off')
  elif kvm_works; then
    accelerator=kvm
  fi
  qemu-system-x86_64 -machine q35 -accel "$accelerator" ${clock[@]+"${clock[@]}"} -cpu "${ZCRX_QEMU_CPU:-max}" -smp "$CPUS" -m "$MEMORY" \
    -nodefaults -no-user-config -display none -no-reboot \
    -serial "file:$RUN/console" -monitor "unix:$RUN/monitor,server=on,wait=off" \
    -device virtio-rng-pci "${exports[@]}" -kernel "$IMAGE" -append "console=ttyS0 \
      panic=-1 oops=panic unknown_nmi_panic panic_print=0x41 dma_debug=off hugepages=64 \
      random.trust_cpu=on root=zroot rootfstype=9p ro \
      rootflags=trans=virtio,version=9p2000.L,cache=loose,msize=262144 \
      init=$RUN/init zcrx_run=$RUN" </dev/null >"$RUN/machine-log" 2>&1 &
  VM_PID=$!
}

# Whether a guest really runs under KVM. There may be a /dev/kvm that QEMU cannot use: seen were one that
# refuses a register, at which QEMU ends, and one whose guests stand still.
kvm_works() {
  [[ -w /dev/kvm ]] || return 1
  local status=0
  # A boot sector that writes 1 to the port at which QEMU ends, with status 2 * 1 + 1.
  { printf '\xb0\x01\xe6\xf4\xeb\xfe' && head -c 504 /dev/zero && printf '\x55\xaa'; } >"$RUN/kvm-probe"
  # In a shell of its own, whose word of an aborted child nobody needs. (A disk of one sector is too short for
  # q35's controller.)
  (
    timeout 10 qemu-system-x86_64 -machine pc -accel kvm -cpu max -m 64 -nodefaults -no-user-config -display none \
      -device isa-debug-exit,iobase=0xf4,iosize=1 -drive "file=$RUN/kvm-probe,format=raw,snapshot=on"
    exit $?
  ) </dev/null >/dev/null 2>&1 || status=$?
  ((status == 3))
}

export_9p() { # TAG DIRECTORY [OPTION]: adds to start_qemu's exports
  exports+=(-fsdev "local,id=$1,path=${2//,/,,},security_model=none,multidevs=remap${3:+,$3}"
    -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# A non-maskable interrupt makes the kernel panic, and panic_print has it write
# all tasks' and CPUs' stacks before.
ask_stacks_qemu() {
  perl -e '
    use Socket;
    socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die;
    connect($s, sockaddr_un("$ARGV[0]/monitor")) or die;
    syswrite($s, "nmi\n");
    sleep 1;' "$RUN"
}
