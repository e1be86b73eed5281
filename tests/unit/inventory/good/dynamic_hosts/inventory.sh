#!/bin/sh
if [ "$1" = --host ]; then
    printf '{"ansible_host": "192.0.2.1", "who": "%s"}' "$2"
else
    echo '{"web": {"hosts": ["w1", "w2"]}, "all": {"vars": {"a": 1}}, "ungrouped": {"hosts": ["u1"]}}'
fi
