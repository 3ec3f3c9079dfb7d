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
	l, err := listenIn(dir)
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

// listenIn listens on the socket "s" in dir. It goes by the folder's file
// descriptor, since a socket's path may have 107 octets only (unix(7)) and the
// one asked for may use them all.
func listenIn(dir string) (*net.UnixListener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	name := fmt.Sprintf("/proc/self/fd/%d/s", d.Fd())
	return net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
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

// namedListener gives its connections the name of whoever is at the other end
// as their remote address, where it survives every wrapping.
type namedListener struct{ *net.UnixListener }

// Accept implements net.Listener.
func (l namedListener) Accept() (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return namedConn{c, peer(c)}, nil
}

type namedConn struct {
	*net.UnixConn
	who peerName
}

// RemoteAddr implements net.Conn.
func (c namedConn) RemoteAddr() net.Addr { return c.who }

// peerName is who is at the other end of a unix connection: "root",
// "uid 1000", or empty if the kernel does not say.
type peerName string

// Network implements net.Addr.
func (peerName) Network() string { return "unix" }

// String implements net.Addr.
func (p peerName) String() string { return string(p) }

// peer asks the kernel who is at the other end (SO_PEERCRED, unix(7)).
func peer(c *net.UnixConn) peerName {
	raw, err := c.SyscallConn()
	if err != nil {
		return ""
	}
	name := peerName("")
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			name = peerName("uid " + strconv.FormatUint(uint64(cred.Uid), 10))
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
