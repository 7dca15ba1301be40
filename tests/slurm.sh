#!/usr/bin/env bash
# A real Slurm of one node on loopback, without systemd, control groups or accounting, for tests.
#   tests/slurm.sh up DIR [PORT]     then: export SLURM_CONF=DIR/slurm.conf
#   tests/slurm.sh down DIR
#   tests/slurm.sh controller DIR    starts the controller again, after it was killed
# Debian: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
set -eu
what=$1
dir=$(realpath -m "$2")

controller() {
    # Two at once would share one state.
    slurmctld -D -f "$dir/slurm.conf" >> "$dir/log/slurmctld.out" 2>&1 &
    echo $! > "$dir/run/slurmctld.own"
}

case $what in
up)
    port=${3:-16817}
    mkdir -p "$dir"/{state,spool,log,run}
    chmod 755 "$dir" "$dir"/*
    head -c 128 /dev/urandom > "$dir/run/munge.key"
    chmod 400 "$dir/run/munge.key"
    # More processors than there are, so that jobs run beside one another.
    cat > "$dir/slurm.conf" <<END
ClusterName=one
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000,defer_batch
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MailProg=/bin/true
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
DependencyParameters=kill_invalid_depend
MinJobAge=${MIN_JOB_AGE:-300}
KillWait=2
SlurmdTimeout=${SLURMD_TIMEOUT:-300}
NodeName=localhost NodeAddr=127.0.0.1 CPUs=${CPUS:-4} RealMemory=${MEM:-8192} State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
    export SLURM_CONF=$dir/slurm.conf
    munged --foreground --force --key-file="$dir/run/munge.key" --socket="$dir/run/munge.socket" \
        --pid-file="$dir/run/munged.pid" --log-file="$dir/log/munged.log" --seed-file="$dir/run/munge.seed" \
        > "$dir/log/munged.out" 2>&1 &
    echo $! > "$dir/run/munged.own"
    for _ in $(seq 100); do [ -S "$dir/run/munge.socket" ] && break; sleep 0.1; done
    controller
    sleep 0.5
    slurmd -D -N localhost -f "$dir/slurm.conf" > "$dir/log/slurmd.out" 2>&1 &
    echo $! > "$dir/run/slurmd.own"
    for _ in $(seq 200); do
        sinfo -h -o %T 2> /dev/null | grep -q idle && exit 0
        sleep 0.1
    done
    tail -5 "$dir"/log/*
    exit 1
    ;;
controller)
    controller
    ;;
down)
    for one in slurmd slurmctld munged; do
        if [ -f "$dir/run/$one.own" ]; then
            kill "$(cat "$dir/run/$one.own")" 2> /dev/null || true
            rm -f "$dir/run/$one.own"
        fi
    done
    ;;
*)
    echo "expected up, down or controller, found $what" >&2
    exit 2
    ;;
esac
