/*
 * Answers /dev/udmabuf and /dev/dma_heap/... with plain shared memory, for kernels that have neither: libcamera's virtual
 * camera needs a place for its pictures, and what fills it is a program, not a device. Loaded by LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int wanted(const char *path)
{
	return path && (!strcmp(path, "/dev/udmabuf") || !strncmp(path, "/dev/dma_heap/", strlen("/dev/dma_heap/")));
}

static int memory(void)
{
	return memfd_create("rig", MFD_CLOEXEC);
}

#define OPENS(name)                                                        \
	int name(const char *path, int flags, ...)                         \
	{                                                                  \
		static int (*real)(const char *, int, ...);                \
		mode_t mode = 0;                                           \
		if (!real)                                                 \
			real = dlsym(RTLD_NEXT, #name);                    \
		if (flags & (O_CREAT | O_TMPFILE)) {                       \
			va_list more;                                      \
			va_start(more, flags);                             \
			mode = va_arg(more, mode_t);                       \
			va_end(more);                                      \
		}                                                          \
		return wanted(path) ? memory() : real(path, flags, mode);  \
	}

OPENS(open)
OPENS(open64)

static int allocate(struct dma_heap_allocation_data *asked)
{
	int got = memory();

	if (got < 0)
		return -1;
	if (ftruncate(got, (off_t)asked->len)) {
		close(got);
		return -1;
	}
	asked->fd = (unsigned int)got;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	static int (*real)(int, unsigned long, ...);
	va_list more;
	void *argument;

	if (!real)
		real = dlsym(RTLD_NEXT, "ioctl");
	va_start(more, request);
	argument = va_arg(more, void *);
	va_end(more);
	switch (request) {
	case UDMABUF_CREATE:
		return fcntl((int)((struct udmabuf_create *)argument)->memfd, F_DUPFD_CLOEXEC, 0);
	case DMA_HEAP_IOCTL_ALLOC:
		return allocate(argument);
	case DMA_BUF_IOCTL_SYNC:
	case DMA_BUF_SET_NAME_A:
	case DMA_BUF_SET_NAME_B:
		return 0;
	default:
		return real(fd, request, argument);
	}
}
