# SPDX-License-Identifier: MIT
# gnuplot -e 'data = "FILE"; picture = "FILE"' plot.gp: cost per hook against the number of hooks.
set terminal svg size 720,440 background "#ffffff" font "sans-serif,13"
set output picture
set title "fork() to the child's first own instruction, the empty fork taken off"
set xlabel "hooks"
set ylabel "ns per hook"
set logscale xy
set format x "10^{%T}"
set grid
unset mxtics
unset mytics
set key top right
set xrange [0.7:1.5e6]
set style data yerrorlines
plot data using 1:2:3:4 title "libatfork" lw 2 pt 7 ps 0.6 lc rgb "#1f6fb4", \
     data using 1:5:6:7 title "pthread\\_atfork()" lw 2 pt 5 ps 0.6 lc rgb "#d1641c"
