// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * brkprobe - starts as old static programs do: without libc, it takes a few KiB
 * from brk for its TLS, does not check whether it got them, and uses them.
 *
 * Then it grows the break in steps until that is refused, to 16 MiB at the most,
 * and goes on with mmap as malloc does. Prints "brkprobe: ok, brk grew by N KiB";
 * if brk gave nothing at the start, it dies as those programs would: by SIGSEGV.
 */
#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

/* What glibc before 2.35 asked for: TLS, its control block, and alignment. */
#define TLS_BYTES	0x1c00
#define STEP_BYTES	(132 * 1024)
#define GROWTH_MAX	(16 * 1024 * 1024)
#define MAP_BYTES	(1024 * 1024)
#define MAP_PAGE	4096

#define PROT_RW		3
#define MAP_PRIVATE_ANON 0x22

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall" : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static long map(size_t length)
{
	return call(__NR_mmap, 0, length, PROT_RW, MAP_PRIVATE_ANON, -1, 0);
}
#elif defined(__i386__)
static long call(long number, long a, long b, long c, long d, long e, long f)
{
	long result;

	(void)f;
	__asm__ volatile("int $0x80" : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

/* The old call takes its arguments from memory; six do not fit beside ebp. */
static long map(size_t length)
{
	const uint32_t arguments[6] = {
		0, length, PROT_RW, MAP_PRIVATE_ANON, (uint32_t)-1, 0,
	};

	return call(__NR_mmap, (long)arguments, 0, 0, 0, 0, 0);
}
#else
#error "brkprobe is written for x86"
#endif

void start_c(void);

/* The compiler may turn loops into calls of it, and there is no libc. */
void *memset(void *memory, int value, size_t length);

void *memset(void *memory, int value, size_t length)
{
	volatile unsigned char *bytes = memory;

	while (length--)
		*bytes++ = (unsigned char)value;
	return memory;
}

static size_t append(char *line, size_t used, const char *text)
{
	while (*text)
		line[used++] = *text++;
	return used;
}

static size_t append_number(char *line, size_t used, unsigned long value)
{
	char digits[24];
	size_t n = 0;

	do
		digits[n++] = '0' + value % 10;
	while (value /= 10);
	while (n)
		line[used++] = digits[--n];
	return used;
}

static void __attribute__((noreturn)) finish(const char *text, unsigned long kib, int status)
{
	char line[128];
	size_t used = append(line, 0, "brkprobe: ");

	used = append(line, used, text);
	used = append_number(line, used, kib);
	used = append(line, used, " KiB\n");
	call(__NR_write, 1, (long)line, used, 0, 0, 0);
	for (;;)
		call(__NR_exit_group, status, 0, 0, 0, 0, 0);
}

/* Zero before, a value a word afterwards. */
static void memory_use(volatile unsigned long *words, size_t length, unsigned long salt,
		       unsigned long kib)
{
	for (size_t i = 0; i < length / sizeof(*words); i++)
		if (words[i])
			finish("FAIL memory was not zero after ", kib, 1);
	for (size_t i = 0; i < length / sizeof(*words); i++)
		words[i] = salt ^ i;
	for (size_t i = 0; i < length / sizeof(*words); i++)
		if (words[i] != (salt ^ i))
			finish("FAIL memory changed after ", kib, 1);
}

void start_c(void)
{
	unsigned long start = call(__NR_brk, 0, 0, 0, 0, 0, 0), end;
	volatile unsigned long *tls = (volatile unsigned long *)((start + 63) & ~63ul);
	unsigned long grown = 0;

	/* Unchecked: this is the point. */
	call(__NR_brk, start + TLS_BYTES, 0, 0, 0, 0, 0);
	memory_use(tls, TLS_BYTES - 64, 0x715, 0);

	end = start + TLS_BYTES;
	while (grown < GROWTH_MAX &&
	       (unsigned long)call(__NR_brk, end + STEP_BYTES, 0, 0, 0, 0, 0) ==
	       end + STEP_BYTES) {
		unsigned long from = (end + 63) & ~63ul;

		memory_use((volatile unsigned long *)from, STEP_BYTES - 64, grown, grown / 1024);
		end += STEP_BYTES;
		grown += STEP_BYTES;
	}
	for (int i = 0; i < 8; i++) {
		long mapped = map(MAP_BYTES);

		if (mapped < 0 && mapped > -MAP_PAGE)
			finish("FAIL mmap was refused after ", grown / 1024, 1);
		memory_use((volatile unsigned long *)mapped, MAP_BYTES, i, grown / 1024);
	}
	for (size_t i = 0; i < (TLS_BYTES - 64) / sizeof(*tls); i++)
		if (tls[i] != (0x715 ^ i))
			finish("FAIL the TLS changed after ", grown / 1024, 1);
	finish("ok, brk grew by ", grown / 1024, 0);
}

/* The stack pointer is aligned here, and a function expects it off by a call. */
__asm__(".globl _start\n_start:\n\tcall start_c\n\thlt\n");
