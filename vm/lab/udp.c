/*
 * The lab's UDP applications, in C because a stream of a hundred packets a second between two Node.js processes takes
 * two thirds of an emulated CPU, and with it what is to be measured beside it.
 *
 * udp echo PORT
 *   Answers each datagram with itself. Prints {"port"} when it listens, and for each line of standard input
 *   {"received", "remoteAddress"}: how many there were, and who sent the last one. Ends with standard input.
 *
 * udp stream HOST PORT LOCALPORT COUNT INTERVAL BYTES
 *   Sends numbered datagrams to an echo, one each INTERVAL microseconds, until there were COUNT or standard input
 *   ends. Waits for what is still on its way, and prints {"sent", "received", "reordered", "missing"}: see
 *   StreamResult. LOCALPORT 0: any.
 */
#define _GNU_SOURCE /* ppoll */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long the last datagrams may take. */
static const int64_t patience_us = 2 * 1000 * 1000;
static const int missing_told = 20;
/* Datagrams taken before there is a look at standard input. */
static const int at_once = 256;

static char data[65536];

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons(port)};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (sock < 0 || bind(sock, (struct sockaddr *)&self, sizeof(self)))
		die("bind");
	return sock;
}

static int echo(uint16_t port)
{
	struct pollfd fds[] = {{.fd = listen_at(port), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	struct sockaddr_in from = {.sin_family = AF_INET};
	unsigned long received = 0;

	printf("{\"port\":%u}\n", port);
	fflush(stdout);
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			die("poll");
		for (int taken = 0; taken < at_once; taken++) {
			socklen_t length = sizeof(from);
			ssize_t size = recvfrom(fds[0].fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length);

			if (size < 0)
				break;
			received++;
			sendto(fds[0].fd, data, size, 0, (struct sockaddr *)&from, length);
		}
		if (!fds[1].revents)
			continue;
		ssize_t size = read(STDIN_FILENO, data, sizeof(data));

		if (size <= 0)
			return 0;
		for (ssize_t i = 0; i < size; i++)
			if (data[i] == '\n')
				printf("{\"received\":%lu,\"remoteAddress\":\"%s\"}\n", received,
				       inet_ntoa(from.sin_addr));
		fflush(stdout);
	}
}

/* What came back, a byte for each number. */
struct seen {
	uint8_t *numbers;
	uint32_t sent, received, reordered, last;
};

static void take_answers(int sock, struct seen *seen)
{
	ssize_t size;

	while ((size = recv(sock, data, sizeof(data), 0)) >= 0) {
		uint32_t number;

		if (size < (ssize_t)sizeof(number))
			continue;
		memcpy(&number, data, sizeof(number));
		number = ntohl(number);
		if (number >= seen->sent || seen->numbers[number])
			continue;
		seen->numbers[number] = 1;
		seen->received++;
		if (number < seen->last)
			seen->reordered++;
		else
			seen->last = number;
	}
}

static void print_result(const struct seen *seen)
{
	int told = 0;

	printf("{\"sent\":%u,\"received\":%u,\"reordered\":%u,\"missing\":[", seen->sent, seen->received,
	       seen->reordered);
	for (uint32_t number = 0; number < seen->sent && told < missing_told; number++)
		if (!seen->numbers[number])
			printf("%s%u", told++ ? "," : "", number);
	printf("]}\n");
}

static int stream(const char *host, uint16_t port, uint16_t local_port, uint32_t count, int64_t interval_us,
		  size_t bytes)
{
	struct pollfd fds[] = {{.fd = listen_at(local_port), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct seen seen = {.numbers = calloc(count, 1)};
	static char out[sizeof(data)];
	int is_over = count == 0;
	int64_t due = now_us();

	if (!seen.numbers || bytes < sizeof(uint32_t) || bytes > sizeof(out) || !inet_aton(host, &to.sin_addr)) {
		errno = EINVAL;
		die("stream");
	}
	for (;;) {
		int64_t now = now_us();

		if (!is_over && now >= due) {
			uint32_t number = htonl(seen.sent++);

			memcpy(out, &number, sizeof(number));
			/* One that finds no room, for somebody does not take them, is lost. */
			if (sendto(fds[0].fd, out, bytes, 0, (struct sockaddr *)&to, sizeof(to)) < 0 &&
			    errno != EAGAIN && errno != ENOBUFS)
				die("sendto");
			/* Never two at once to make up for lost time. */
			due = now + interval_us;
			is_over = seen.sent == count;
			if (is_over)
				due = now + patience_us;
		}
		if (is_over && (seen.received == seen.sent || now >= due))
			break;

		int64_t wait_us = due > now ? due - now : 0;
		struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};

		if (ppoll(fds, is_over ? 1 : 2, &wait, NULL) < 0)
			die("poll");
		take_answers(fds[0].fd, &seen);
		if (!is_over && fds[1].revents && read(STDIN_FILENO, data, sizeof(data)) <= 0) {
			is_over = 1;
			due = now_us() + patience_us;
		}
	}
	print_result(&seen);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "echo"))
		return echo(atoi(argv[2]));
	if (argc == 8 && !strcmp(argv[1], "stream"))
		return stream(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), atoll(argv[6]), atoi(argv[7]));
	fprintf(stderr, "usage: udp echo PORT | udp stream HOST PORT LOCALPORT COUNT INTERVAL BYTES\n");
	return 2;
}
