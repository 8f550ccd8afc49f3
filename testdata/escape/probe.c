/* Tries, from inside a sandbox, what no sandboxed process may do; says of each attempt what the
   kernel answered: "done", or the name of the error. Arguments: the path of something of the host,
   the number of a process of the host, and the names of the attempts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acct.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *outside;
static int stranger;

static int opens(const char *path, int flags) {
    int file = open(path, flags);
    return file < 0 ? -1 : close(file);
}

/* Writes nothing, but to a file that would take it. */
static int writes(const char *path) { return opens(path, O_WRONLY); }

/* Makes a device and opens it: only the second must fail. 10:229 is /dev/fuse, which whoever can
   open its node may use. */
static int device(const char *path, mode_t type, int major_number, int minor_number) {
    unlink(path);
    if (mknod(path, type | 0600, makedev(major_number, minor_number)) < 0) return -1;
    int result = opens(path, O_RDONLY | O_NONBLOCK);
    int saved = errno;
    unlink(path);
    errno = saved;
    return result;
}

/* The first of the classic breakouts: a directory above the root stays open. */
static int chroot_out(void) {
    mkdir("/chrooted", 0700);
    int before = open("/", O_RDONLY | O_DIRECTORY);
    if (before < 0 || chroot("/chrooted") < 0 || fchdir(before) < 0) return -1;
    for (int depth = 0; depth < 100; depth++) (void)!chdir("..");
    if (chroot(".") < 0) return -1;
    return opens(outside, O_RDONLY);
}

/* "shocker": a file of the disk by its number, without a path. */
static int by_handle(void) {
    struct { struct file_handle head; unsigned char bytes[8]; } handle = {
        {.handle_bytes = 8, .handle_type = 1}, {2}};
    int root = open("/", O_RDONLY | O_DIRECTORY);
    int file = open_by_handle_at(root, &handle.head, O_RDONLY);
    return file < 0 ? -1 : close(file);
}

static int enters(const char *path, int kind) {
    int file = open(path, O_RDONLY);
    return file < 0 ? -1 : setns(file, kind);
}

static int abstract_socket(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", outside);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(outside);
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    return file < 0 ? -1 : connect(file, (struct sockaddr *)&address, length);
}

static int clock_change(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return clock_settime(CLOCK_REALTIME, &now);
}

static int clock_tune(void) {
    struct timex change = {.modes = ADJ_TICK, .tick = 10000};
    return adjtimex(&change) < 0 ? -1 : 0;
}

static int limit_raise(void) {
    struct rlimit limit = {0, 0};
    if (setrlimit(RLIMIT_MSGQUEUE, &limit) < 0) return -1;
    limit.rlim_max = limit.rlim_cur = 100;
    return setrlimit(RLIMIT_MSGQUEUE, &limit);
}

static int real_time(void) {
    struct sched_param param = {.sched_priority = 50};
    return sched_setscheduler(0, SCHED_FIFO, &param);
}

static int types_a_character(void) {
    int terminal = open("/dev/tty", O_RDWR);
    return terminal < 0 ? -1 : ioctl(terminal, TIOCSTI, "x");
}

#define TRY(label, expression) \
    if (!strcmp(name, label)) return (expression) < 0 ? -1 : 0;

static int attempt(const char *name) {
    char none[1] = "";
    TRY("open what is outside", opens(outside, O_RDONLY))
    TRY("open what is outside by /proc/1/root", chdir("/proc/1/root") + opens(outside + 1, O_RDONLY))
    TRY("chroot out", chroot_out())
    TRY("open by handle", by_handle())
    TRY("mount", mount("none", "/root", "tmpfs", 0, NULL))
    TRY("mount proc again", mount("proc", "/root", "proc", 0, NULL))
    TRY("mount cgroup", mount("cgroup", "/root", "cgroup", 0, "memory"))
    TRY("mount cgroup2", mount("cgroup2", "/root", "cgroup2", 0, NULL))
    TRY("bind mount", mount("/proc", "/root", NULL, MS_BIND, NULL))
    TRY("remount /proc/sys", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL))
    TRY("unmount a mask", umount2("/proc/sys", MNT_DETACH))
    TRY("share mounts", mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL))
    TRY("pivot_root", syscall(SYS_pivot_root, ".", "."))
    TRY("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1))
    TRY("fsopen", syscall(SYS_fsopen, "tmpfs", 0))
    TRY("unshare mounts", unshare(CLONE_NEWNS))
    TRY("unshare network", unshare(CLONE_NEWNET))
    TRY("unshare user", unshare(CLONE_NEWUSER))
    TRY("keys of the user", syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_USER_KEYRING, NULL, 0))
    TRY("add a key", syscall(SYS_add_key, "user", "x", "x", 1, KEY_SPEC_USER_KEYRING))
    TRY("ask for a key", syscall(SYS_request_key, "user", "x", NULL, KEY_SPEC_USER_KEYRING))
    TRY("userfaultfd", syscall(SYS_userfaultfd, 0))
    TRY("bpf", syscall(SYS_bpf, 0, none, 0))
    TRY("perf", syscall(SYS_perf_event_open, none, 0, -1, -1, 0))
    TRY("quota", syscall(SYS_quotactl, 0x80000100, "/", 0, NULL))
    TRY("enter mounts of process 1", enters("/proc/1/ns/mnt", CLONE_NEWNS))
    TRY("enter processes of process 1", enters("/proc/1/ns/pid", CLONE_NEWPID))
    TRY("enter user of process 1", enters("/proc/1/ns/user", CLONE_NEWUSER))
    TRY("a new device", device("/device", S_IFCHR, 10, 229))
    TRY("a new device in /dev", device("/dev/device", S_IFCHR, 10, 229))
    TRY("a new device in /dev/shm", device("/dev/shm/device", S_IFCHR, 10, 229))
    TRY("a new device in a volume", device("/mnt/device", S_IFCHR, 10, 229))
    TRY("a new device in memory", device("/tmp/device", S_IFCHR, 10, 229))
    TRY("a new disk", device("/device", S_IFBLK, 8, 0))
    TRY("kernel log", klogctl(3, none, 1))
    TRY("clear kernel log", klogctl(5, NULL, 0))
    TRY("core_pattern", writes("/proc/sys/kernel/core_pattern"))
    TRY("modprobe", writes("/proc/sys/kernel/modprobe"))
    TRY("hostname by /proc", writes("/proc/sys/kernel/hostname"))
    TRY("binfmt_misc", writes("/proc/sys/fs/binfmt_misc/register"))
    TRY("sysrq", writes("/proc/sysrq-trigger"))
    TRY("interrupts", writes("/proc/irq/default_smp_affinity"))
    TRY("uevent_helper", writes("/sys/kernel/uevent_helper"))
    TRY("a device's uevent", writes("/sys/class/mem/null/uevent"))
    TRY("release_agent", writes("/sys/fs/cgroup/release_agent"))
    TRY("sysfs", mkdir("/sys/fs/x", 0700))
    TRY("hostname", sethostname("x", 1))
    TRY("domain name", setdomainname("x", 1))
    TRY("clock", clock_change())
    TRY("clock by settimeofday", settimeofday(&(struct timeval){.tv_sec = time(NULL)}, NULL))
    TRY("clock's speed", clock_tune())
    TRY("reboot", reboot(RB_DISABLE_CAD))
    TRY("swap", swapon("/bin/busybox", 0))
    TRY("module", syscall(SYS_init_module, none, 0, none))
    TRY("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0))
    TRY("accounting", acct("/accounts"))
    TRY("trace who started it", ptrace(PTRACE_SEIZE, stranger, NULL, NULL))
    TRY("signal who started it", kill(stranger, 0))
    TRY("limits of who started it", prlimit(stranger, RLIMIT_NOFILE, NULL, &(struct rlimit){0}))
    TRY("raise a limit", limit_raise())
    TRY("priority", setpriority(PRIO_PROCESS, 0, -20))
    TRY("real-time", real_time())
    TRY("socket of the host", abstract_socket())
    TRY("type into a terminal", types_a_character())
    TRY("I/O ports", syscall(SYS_ioperm, 0x70, 1, 1))
    errno = EINVAL;
    return -1;
}

int main(int count, char **arguments) {
    outside = arguments[1];
    stranger = atoi(arguments[2]);
    for (int index = 3; index < count; index++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            int result = attempt(arguments[index]);
            printf("%s: %s\n", arguments[index], result < 0 ? strerrorname_np(errno) : "done");
            fflush(stdout);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status)) printf("%s: killed\n", arguments[index]);
    }
    return 0;
}
