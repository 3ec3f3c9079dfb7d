package media

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// System calls that never wait, made without a word to Go's scheduler: told of one,
// it wakes its monitor thread, which then polls for a millisecond. At hundreds of
// calls a second, with some fifty such system calls each, that was a fifth of all
// processor time.

func setOption(fd, level, option, value int) error {
	v := int32(value)
	_, _, e := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
	return fault(e)
}

func bindTo(fd int, at *sockaddr) error {
	_, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&at.raw)), uintptr(at.len))
	return fault(e)
}

// closeSocket has no error to tell: a UDP socket has nothing left to fail with.
func closeSocket(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// ring adds one to an eventfd; a full one is awake already.
func ring(fd int) {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
}

// hush empties an eventfd.
func hush(fd int) {
	var n uint64
	_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&n)), unsafe.Sizeof(n))
}

func fault(e unix.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}
