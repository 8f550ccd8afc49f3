#!/bin/sh
cat /greeting /machine
echo "arguments: $*"
