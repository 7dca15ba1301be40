#!/usr/bin/env bash
# Slurm 22.05.8 (Debian 12): an element of a job array that has run to its end is shown as PENDING, "launch failed requeued held", for good,
# after the controller's machine lost power just after the job began. The controller writes its state every few seconds. What it finds when it
# comes back is the array before its first element began: it starts the element again, under another number of the node; the node
# answers that this job runs already, and the controller takes that for a failed launch, puts the element back, holds it, and
# drains the node. The element meanwhile runs on, writes its results, and ends; its end is told of a job that is pending, and is
# passed over. Who waits for the queue to say COMPLETED waits for ever, and who releases the job runs it twice. A machine with
# a queue of such jobs does nothing more until someone resumes the node. So a tool that hands work to Slurm has to look for
# the results themselves, and has to know this reason.
#
# Seen (loopback, one node; the controller is killed one second after `sbatch`, and started again):
#   what the first element wrote: begins, ends
#   1_0 PENDING launch failed requeued held
#   node localhost: Duplicate jobid
#   after its release: begins,ends,begins,ends
set -euo pipefail
version=22.05.8-4+deb12u3
folder=$(mktemp -d)
end() { for name in slurmctld slurmd munged; do kill -9 "$(cat "$folder/$name.own" 2> /dev/null)" 2> /dev/null || true; done; sleep 1; rm -rf "$folder"; }
trap end EXIT
mkdir -p "$folder"/{debs/partial,root,state,spool}
chmod 755 "$folder" "$folder"/*
# With all that they need, as on a machine that has nothing yet; nothing is installed.
apt-get install --quiet=2 --yes --download-only --no-install-recommends -o Dir::Cache::archives="$folder/debs" -o Dir::State::status=/dev/null \
    -o APT::Sandbox::User=root slurmctld=$version slurmd=$version slurm-client=$version slurm-wlm-basic-plugins=$version munge > "$folder/apt.txt" 2>&1
for package in "$folder"/debs/*.deb; do
    case $package in */libc6_* | */libc-bin_*) ;; *) dpkg -x "$package" "$folder/root" ;; esac
done
libraries=$folder/root/usr/lib/$(uname -m)-linux-gnu
export LD_LIBRARY_PATH=$libraries:$libraries/slurm-wlm:$folder/root/lib/$(uname -m)-linux-gnu PATH=$folder/root/usr/sbin:$folder/root/usr/bin:$PATH
head -c 128 /dev/urandom > "$folder/munge.key"
chmod 400 "$folder/munge.key"
cat > "$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
PluginDir=$libraries/slurm-wlm
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=23817
SlurmdPort=23818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$folder/slurm.conf
controller() { (slurmctld -D -f "$SLURM_CONF" > "$folder/slurmctld.out" 2>&1 & echo $! > "$folder/slurmctld.own"); }
(munged --foreground --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" > "$folder/munged.out" 2>&1 &
echo $! > "$folder/munged.own")
sleep 2
controller
sleep 1
(slurmd -D -N localhost -f "$SLURM_CONF" > "$folder/slurmd.out" 2>&1 & echo $! > "$folder/slurmd.own")
for _ in $(seq 100); do sinfo --noheader --format=%T 2> /dev/null | grep -q idle && break; sleep 0.2; done
slurmd -V
# The state is written after a change: this change is a while ago.
sleep 6
job=$(sbatch --parsable --array=0-2 --output="$folder/wrote-%a.txt" --open-mode=append --chdir=/ --wrap 'echo begins; sleep 4; echo ends')
sleep 1
kill -9 "$(cat "$folder/slurmctld.own")"
sleep 0.5
controller
sleep 15
wrote=$(paste -sd, "$folder/wrote-0.txt")
state=$(squeue --noheader --array --states=all --format='%i %T %r' | grep "^${job}_0 ")
node=$(sinfo --noheader --Node --format='%N: %E')
echo "what the first element wrote: $wrote"
echo "$state"
echo "node $node"
scontrol release "${job}_0"
scontrol update NodeName=localhost State=RESUME
# A job that was put back waits for two minutes.
for _ in $(seq 120); do [ "$(grep -c ends "$folder/wrote-0.txt")" = 2 ] && break; sleep 2; done
twice=$(paste -sd, "$folder/wrote-0.txt")
echo "after its release: $twice"
[ "$wrote" = "begins,ends" ] && [ "$state" = "${job}_0 PENDING launch failed requeued held" ] && [ "$twice" = "begins,ends,begins,ends" ] ||
    { echo "the behaviour has changed"; exit 1; }
