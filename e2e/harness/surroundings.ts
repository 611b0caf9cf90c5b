import type { Host } from './lab.ts';

/** What a program finds around it, a line a fact. */
export type Surroundings = string[];

const PROGRAM = '/usr/local/bin/surroundings';

/** Where the program says what it found: named after the host, as a request for it is. */
export const reportOf = (host: Host): string => `/srv/${host.name}-surroundings`;

/** Perl, because a shell changes some of this by itself. It looks at all of it before it opens what it writes to. */
const SOURCE = `#!/usr/bin/perl
use POSIX ();
sub text { local $/; open my $file, '<', $_[0] or return "none\\n"; scalar <$file> }
my @stat = split / /, text('/proc/self/stat') =~ s/.*\\) //sr;
my ($group, $session, $tty, $foreground) = @stat[2 .. 5];
my @seen = grep /^(Umask|Uid|Gid|Groups|Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Cap\\w+|NoNewPrivs|Seccomp|\\w+_allowed):/,
  split /\\n/, text('/proc/self/status');
push @seen, split /\\n/, text('/proc/self/limits');
push @seen, map { "descriptor $_ " . readlink("/proc/self/fd/$_") } grep { -l "/proc/self/fd/$_" } 0 .. 255;
push @seen, sort split /\\0/, text('/proc/self/environ');
push @seen, map { "$_ " . text("/proc/self/$_") } qw(cgroup oom_score_adj coredump_filter personality loginuid);
push @seen, map { "$_ " . readlink("/proc/self/$_") } qw(cwd root), map { "ns/$_" } qw(ipc mnt net pid user uts);
push @seen, 'nice ' . $stat[16], 'priority ' . $stat[37], 'scheduling ' . $stat[38];
push @seen, 'leads a group ' . ($group == $$), 'leads a session ' . ($session == $$);
push @seen, 'terminal ' . ($tty != 0), 'in the foreground ' . ($foreground == $group);
push @seen, 'modes ' . \`stty -g </dev/tty 2>/dev/null\`, 'size ' . \`stty size </dev/tty 2>/dev/null\`;
open my $out, '>', $ARGV[0] or die;
print $out map { s/\\s+/ /gr =~ s/\\s*$/\\n/r } @seen;
`;

export const placeSurroundings = (host: Host): Promise<void> => host.write(PROGRAM, SOURCE, 0o755);

/** A caller of sudo of whom nothing is the usual, so that what is set anew shows as well as what is lost. */
export const unusualCaller = (host: Host, sudo: string): string[] => [
  'bash',
  '-c',
  `test ! -t 0 || stty -ixon -echoctl erase ^H werase ^X
  umask 027; ulimit -S -n 512; ulimit -S -c 4096; trap '' USR1; cd /usr/share; exec 7</dev/null
  export LC_TIME=de_DE.UTF-8 LANGUAGE=de TZ=Europe/Berlin
  exec env --block-signal=USR2 nice -n 3 ${sudo} ${PROGRAM} ${reportOf(host)}`,
];

/** What the program has found, and nothing of it is left. What is only numbered, as pipes and terminals are, has no number. */
export async function takeSurroundings(host: Host): Promise<Surroundings> {
  const text = await host.read(reportOf(host));
  await host.remove(reportOf(host));
  return text
    .trim()
    .replace(/(pipe|socket):\[\d+\]|\/dev\/pts\/\d+/g, (found) => found.replace(/\d+/, 'N'))
    .split('\n');
}
