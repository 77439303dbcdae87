# Each line: what, then the program's last line. By turns, with nothing beside them.
out=$1; mkdir -p $out
for turn in 1 2 3; do
  while read -r name program args; do
    $program $args > $out/$name-$turn.txt 2>&1
    echo "$name $turn: $(tail -1 $out/$name-$turn.txt)"
  done <<LIST
before-158 ./decided-ec289de 3 158,158
now-158 ./decided-4b77b34 3 158,158
before-158-fine ./decided-ec289de 3 158,158 fine
now-158-fine ./decided-4b77b34 3 158,158 fine
before-158-finest ./decided-ec289de 2 158,158 finest
now-158-finest ./decided-4b77b34 2 158,158 finest
before-274 ./decided-ec289de 3 274,274
now-274 ./decided-4b77b34 3 274,274
picked-274x1 ./decided-4b77b34 3 274,274 standard 1 1 picked
picked-16x4 ./decided-4b77b34 3 4700,16 standard 4 1 picked
picked-16x8 ./decided-4b77b34 3 4700,16 standard 8 1 picked
LIST
done
