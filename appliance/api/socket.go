package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketMode = 0o660           // root and the socket's group
	knock      = 2 * time.Second // how long another daemon may take to answer
)

// claim listens on a unix socket at path. A socket left behind by a dead
// daemon is replaced in one step; one that somebody answers on is not touched.
// The new one is made under another name, gets its mode, and is then renamed
// into place, so it is never open to more people than it should be.
func claim(path string) (*net.UnixListener, func(), error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, nil, err
	}
	l, release, err := claimLocked(path)
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	return l, func() { release(); lock.Close() }, nil
}

// claimLocked is claim for the holder of the lock.
func claimLocked(path string) (*net.UnixListener, func(), error) {
	if err := vacant(path); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".lk")
	if err != nil {
		return nil, nil, fmt.Errorf("make room for the socket: %w", err)
	}
	defer os.RemoveAll(dir)
	fresh := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // its name changes below
	mine, err := place(fresh, path)
	if err != nil {
		l.Close()
		return nil, nil, err
	}
	return l, func() {
		l.Close()
		if now, err := os.Lstat(path); err == nil && os.SameFile(mine, now) {
			os.Remove(path)
		}
	}, nil
}

// place gives the fresh socket its mode and then its name.
func place(fresh, path string) (fs.FileInfo, error) {
	if err := os.Chmod(fresh, socketMode); err != nil {
		return nil, fmt.Errorf("set the socket's mode: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return nil, fmt.Errorf("put the socket in place: %w", err)
	}
	mine, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("look at the socket: %w", err)
	}
	return mine, nil
}

// vacant reports why path can't be taken, nil if it can.
func vacant(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket; remove it or set api.socket to another path", path)
	}
	c, err := net.DialTimeout("unix", path, knock)
	if err == nil {
		c.Close()
		return fmt.Errorf("another daemon answers on %s; stop it or set api.socket to another path", path)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil // nobody listens: left behind
	}
	return fmt.Errorf("ask who is on %s: %w", path, err)
}

// lockFile takes the lock that only one daemon per socket can hold. It ends
// with the process, however that ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the socket: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("another daemon holds %s; stop it or set api.socket to another path: %w", path, err)
	}
	return f, nil
}

// peer names who is at the other end of a unix connection.
func peer(c net.Conn) string {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ""
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ""
	}
	name := ""
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			name = "uid " + strconv.FormatUint(uint64(cred.Uid), 10)
			if cred.Uid == 0 {
				name = "root"
			}
		}
	})
	if err != nil {
		return ""
	}
	return name
}
