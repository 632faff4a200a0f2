#!/usr/bin/env bash
# Runs the Promela models of shm/ and their mutants: ./check.sh [short|long]. A model must pass, a mutant must fail by an assertion.
# Ends with `N passed, N failed`.
set -u
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
form=${1:-short}
case $form in short | long) ;; *) echo "usage: check.sh [short|long]" >&2; exit 64 ;; esac
for tool in spin cc; do
    command -v "$tool" >/dev/null || { echo "check.sh: $tool is missing" >&2; exit 69; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
at_once=$(nproc)
started=0

# judge pass|fail NAME MODEL MEGABYTES DEPTH [-D...]
judge() {
    local want=$1 name=$2 model=$3 megabytes=$4 depth=$5 start=$SECONDS errors got=broken optimize=-O1
    shift 5
    [ "$want" = pass ] || optimize=-O0 # it stops early: compiling is most of it
    if spin -a "$@" "$here/$model.pml" >spin.out 2>&1 &&
        cc $optimize -w -DSAFETY -DNOREDUCE -DCOLLAPSE -DMEMLIM="$megabytes" -o pan pan.c >cc.out 2>&1; then
        ./pan -m"$depth" -w20 >pan.out 2>&1
        errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.out)
        # A search that was cut short proves nothing.
        if grep -q -e 'max search depth too small' -e 'Search not completed' -e 'out of memory' pan.out && [ "$errors" = 0 ]; then
            got=cut
        elif [ "$errors" = 0 ]; then
            got=pass
        elif grep -q -e 'assertion violated' -e 'invalid end state' pan.out; then
            got=fail
        fi
    fi
    local states
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out 2>/dev/null)
    if [ "$got" = "$want" ]; then
        printf 'ok    %-44s %s states, %d s\n' "$name" "${states:-?}" $((SECONDS - start))
    else
        printf 'FAIL: %s (%s where %s was due)\n' "$name" "$got" "$want"
        tail -5 spin.out cc.out pan.out 2>/dev/null
    fi
}

# The same in a folder of its own, beside others: one for each processor.
check() {
    local dir="$work/$started"
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n; done
    started=$((started + 1))
    mkdir "$dir"
    (cd "$dir" && judge "$@" >told 2>&1; cat told; rm -f pan) &
}

mutants() { # MODEL then the mutants' names
    local model=$1 m
    shift
    for m in "$@"; do
        check fail "$model, mutant $m" "$model" 4000 100000 "-D$m"
    done
}

check pass "usage: one death each" usage 4000 100000 -DNREQ=3
check pass "doorbell: one death each" doorbell 4000 100000
check pass "slot: deaths of all three" slot 4000 100000
check pass "meter: one meter, one death" meter 4000 200000 -DENTRIES=1 -DEXTEND -DLIMIT=3 -DTURNS=1
mutants usage CLEAR_FIRST SWEEP_EARLY RELEASE_FIRST PEEK_ORDER PUNCH_LATE SPILL_ANY NO_ROOM SWEEP_LIVING SWEPT_FIRST
mutants doorbell RELAXED NO_SECOND_LOOK LOOK_FIRST NO_NUMBER SAME_SLEEP NO_POKE
mutants slot NO_WAITPID NO_ALL_DEAD FIELDS_LATE FOLD NO_RETIRE
mutants meter NO_ACK ACK_LATE NOTE_FIRST NOTE_LATE EPOCH_LATE NO_REVALIDATE UNDO_HELD
check fail "meter, mutant AMOUNT_ADDED" meter 4000 200000 -DAMOUNT_ADDED -DEXTEND -DTURNS=0 -DLIMIT=3
check fail "meter, mutant NO_TOUCH" meter 4000 200000 -DNO_TOUCH -DCONFIG -DTURNS=0
if [ "$form" = long ]; then
    check pass "usage: four requests, two deaths each" usage 12000 1000000 -DNREQ=4 -DWDEATHS=2 -DCDEATHS=2
    check pass "usage: small ring of two" usage 12000 1000000 -DNREQ=4 -DRING=2 -DOVER=2
    check pass "doorbell: two records each, two deaths each" doorbell 12000 1000000 -DRECORDS1=2 -DPDEATHS=2 -DCDEATHS=2
    check pass "meter: two meters, one death, a turn" meter 12000 1000000
    check pass "meter: two meters, extended" meter 12000 1000000 -DEXTEND -DLIMIT=3 -DTURNS=0
    check pass "meter: two meters, more used than reserved, a turn" meter 12000 1000000 -DOVER -DLIMIT=3 -DTURNS=1
    check pass "meter: one meter, two requests each" meter 12000 1000000 -DENTRIES=1 -DREQUESTS=2 -DTURNS=0
    check pass "meter: two meters, a limit lowered" meter 12000 1000000 -DCONFIG -DTURNS=0
    check pass "meter: three workers, one meter, one unit" meter 12000 1000000 -DWORKERS=3 -DENTRIES=1 -DTURNS=0 -DLIMIT=1
    check pass "slot: two deaths of supervisors" slot 12000 1000000 -DSDEATHS=2
    check pass "slot: four lives" slot 12000 1000000 -DLIVES=4 -DCDEATHS=1 -DRDEATHS=1
fi
wait
passed=$(cat "$work"/*/told | grep -c '^ok ')
echo "$passed passed, $((started - passed)) failed"
[ "$passed" -eq "$started" ]
