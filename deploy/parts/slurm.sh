#!/bin/sh
# Trains a model in parts on a Slurm cluster: three arrays of jobs, and a merge behind each of them.
#
#   deploy/parts/slurm.sh 16 sordino train --index /shared/index --out /shared/model --parts /shared/parts
#
# Jobs behind one that failed are never started: cancel them, and run the script again. What is there is taken again and stays as it is.
#
# The first argument is the number of parts. The rest is the command of one run, with --parts. Options for every job, such as memory and
# time, go into SBATCH_OPTIONS. All nodes must see the index and the folder of parts.
set -eu
usage() {
  echo "usage: $0 PARTS sordino train --parts DIR ..., found: $*" >&2
  exit 2
}
case ${1:-} in '' | *[!0-9]* | 0) usage "$@" ;; esac
case " $* " in *" --parts "*) ;; *) usage "$@" ;; esac
parts=$1
shift
command=
for argument; do
  # One shell reads the command again: every argument is quoted.
  command="$command '$(printf %s "$argument" | sed "s/'/'\\\\''/g")'"
done
after=
for step in clips covariance projection; do
  # shellcheck disable=SC2086 # options are several words
  array=$(sbatch --parsable ${SBATCH_OPTIONS:-} ${after:+--dependency=afterok:$after} --job-name="sordino-$step" \
    --array="1-$parts" --wrap="$command --part \$SLURM_ARRAY_TASK_ID/$parts")
  # shellcheck disable=SC2086
  after=$(sbatch --parsable ${SBATCH_OPTIONS:-} --dependency="afterok:$array" --job-name="sordino-$step-merge" \
    --wrap="$command --merge")
done
echo "the model is there when job $after has ended"
