#!/bin/sh
# same_answers.sh TUTTI LAUNCHER…: passes where made-up weights answer on the launcher's ranks, one
# of which runs TUTTI each, with the very ids of one rank alone.
tutti=$1
shift
answer() {
  "$@" "$tutti" generate tests/launch/tiny_shape.json --random-weights 3 --dtype f32 \
    --device host --prompt '1 2 3' --prompt '250 7' --temperature 0.7 --seed 5 --max-tokens 12 \
    --presence-penalty 1.15 --min-tokens 3 --logit-bias 5:2,9:-inf \
    --quiet </dev/null
}
one=$(answer env) || exit 1
many=$(answer "$@") || exit 1
printf 'one rank:\n%s\nmore ranks:\n%s\n' "$one" "$many"
words=$(printf '%s' "$one" | wc -w)
echo "ids: wanted at least 24, found $words"
[ "$words" -ge 24 ] && [ "$one" = "$many" ]
