# SPDX-License-Identifier: MIT
# A worker (worker.h): worker.pl HOOKS FORKS.  Answers with ns for POSIX::AtFork: for a child hook, and to register one.
use strict;
use warnings;
use List::Util qw(min);
use POSIX ();
use POSIX::AtFork ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($hooks, $forks) = @ARGV;
$| = 1;

sub now { return clock_gettime(CLOCK_MONOTONIC) * 1e9 }

# From fork to the child's first own instruction.
sub fork_ns {
    pipe(my $reader, my $writer) or die "pipe: $!";
    my $start = now();
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        syswrite($writer, pack('d', now()));
        POSIX::_exit(0);
    }
    close $writer;
    sysread($reader, my $started, 8);
    waitpid($pid, 0);
    return unpack('d', $started) - $start;
}

# What else the machine does can only add to it.
sub least_fork {
    return min(map { fork_ns() } 1 .. $forks);
}

# A function for each, as programs have.
my @functions = map { my $i = $_; sub { return $i } } 1 .. $hooks;

while (defined(my $line = <STDIN>)) {
    last if $line ne "go\n";
    my $start = now();
    POSIX::AtFork->add_to_child($_) for @functions;
    my $register = (now() - $start) / $hooks;
    my $full = least_fork();
    # Newest first, where it is found at once.
    POSIX::AtFork->delete_from_child($_) for reverse @functions;
    my $empty = least_fork();
    printf "%.17g %.17g nan\n", ($full - $empty) / $hooks, $register;
}
