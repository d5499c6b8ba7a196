# SPDX-License-Identifier: MIT
# Makes of a text the lines of a string in C.
s/[\\"]/\\&/g
s/.*/"&\\n"/
