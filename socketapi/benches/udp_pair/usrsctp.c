/*
 * Associations of usrsctp in UDP, for a comparison with ours: the library as Debian has it, by blocking calls.
 *
 *     usrsctp pingpong OWN_UDP PEER_UDP CORE SIZE      a server: answers until it is killed
 *     usrsctp pingpong OWN_UDP PEER_UDP CORE SIZE MS   a client: for so long; prints p50 and p99 in microseconds
 *     usrsctp idle UDP COUNT SECONDS                   both ends on one stack; prints percent of a core
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <usrsctp.h>

enum { PORT = 7, WARM_UP = 500, MOST = 1 << 20 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static double processor(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* A socket on a port, 0 for any, whose peers are behind a UDP port. */
static struct socket *open_socket(int port, int peer_udp)
{
    struct sctp_udpencaps behind;
    struct sockaddr_in address = loopback(port);
    int on = 1;
    struct socket *socket = usrsctp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
    check(socket != NULL, "socket");
    memset(&behind, 0, sizeof behind);
    behind.sue_address.ss_family = AF_INET;
    behind.sue_port = htons(peer_udp);
    check(!usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &behind, sizeof behind), "UDP port");
    check(!usrsctp_setsockopt(socket, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on), "no delay");
    check(!usrsctp_bind(socket, (struct sockaddr *)&address, sizeof address), "bind");
    return socket;
}

static struct socket *listening(int peer_udp, int backlog)
{
    struct socket *socket = open_socket(PORT, peer_udp);
    check(!usrsctp_listen(socket, backlog), "listen");
    return socket;
}

static struct socket *connected(int peer_udp)
{
    struct socket *socket = open_socket(0, peer_udp);
    struct sockaddr_in server = loopback(PORT);
    check(!usrsctp_connect(socket, (struct sockaddr *)&server, sizeof server), "connect");
    return socket;
}

static struct socket *accepted(struct socket *from)
{
    struct socket *socket = usrsctp_accept(from, NULL, NULL);
    check(socket != NULL, "accept");
    return socket;
}

/* How many bytes came in a message. */
static ssize_t receive(struct socket *socket, char *buffer, size_t size)
{
    struct sctp_rcvinfo info;
    socklen_t length = sizeof info;
    unsigned type;
    int flags = 0;
    return usrsctp_recvv(socket, buffer, size, NULL, NULL, &info, &length, &type, &flags);
}

static int transmit(struct socket *socket, const char *buffer, size_t size)
{
    return usrsctp_sendv(socket, buffer, size, NULL, 0, NULL, 0, SCTP_SENDV_NOINFO, 0) == (ssize_t)size;
}

static void serve(int peer_udp, size_t size)
{
    char buffer[2048];
    struct socket *socket = accepted(listening(peer_udp, 1));
    while (receive(socket, buffer, sizeof buffer) == (ssize_t)size) {
        check(transmit(socket, buffer, size), "send");
    }
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void ask(int peer_udp, size_t size, int milliseconds)
{
    static double trips[MOST];
    char buffer[2048] = { 0 };
    int count = 0, warm_up = WARM_UP;
    double end = 0;
    struct socket *socket = connected(peer_udp);
    while (count < MOST) {
        double start = now(), stop;
        check(transmit(socket, buffer, size), "send");
        check(receive(socket, buffer, sizeof buffer) == (ssize_t)size, "receive");
        stop = now();
        if (warm_up > 0) {
            warm_up--;
            end = stop + milliseconds * 1e3;
            continue;
        }
        trips[count++] = stop - start;
        if (stop > end)
            break;
    }
    qsort(trips, count, sizeof trips[0], compare);
    printf("%f %f\n", trips[count / 2], trips[count * 99 / 100]);
}

static void idle(int udp, int count, int seconds)
{
    double used, start;
    struct socket *listener = listening(udp, count);
    for (int i = 0; i < count; i++) {
        connected(udp);
        accepted(listener);
    }
    sleep(2);
    used = processor();
    start = now();
    sleep(seconds);
    printf("%f\n", (processor() - used) / (now() - start) * 100);
}

int main(int argc, char **argv)
{
    int udp = argc > 2 ? atoi(argv[2]) : 0;
    if (argc == 5 && !strcmp(argv[1], "idle")) {
        usrsctp_init(udp, NULL, NULL);
        idle(udp, atoi(argv[3]), atoi(argv[4]));
    } else if ((argc == 6 || argc == 7) && !strcmp(argv[1], "pingpong")) {
        cpu_set_t core;
        CPU_ZERO(&core);
        CPU_SET(atoi(argv[4]), &core);
        check(!sched_setaffinity(0, sizeof core, &core), "core");
        usrsctp_init(udp, NULL, NULL);
        if (argc == 6)
            serve(atoi(argv[3]), atoi(argv[5]));
        else
            ask(atoi(argv[3]), atoi(argv[5]), atoi(argv[6]));
    } else {
        fprintf(stderr, "see the first lines of the source\n");
        return 2;
    }
    fflush(stdout);
    /* The library's own end waits for associations. */
    _exit(0);
}
