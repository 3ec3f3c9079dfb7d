package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxSteered bounds the ports that are steered; it is that of the port numbers
// of one address.
const maxSteered = 1 << 16

// steering lets the kernel deliver what the peers of all streams send to their IPv4
// ports into one socket for each worker: a BPF program of type sk_lookup finds the
// addresses and ports of both ends in a table. A worker then takes 64 packets of
// any calls with one system call and needs no epoll for them. The ports' own
// sockets stay bound, and take over whatever is not in the table: peers that have
// not been heard yet, and strangers. A flood of these fills the buffer of one port
// and takes no room from the calls.
//
// It needs CAP_BPF (or CAP_SYS_ADMIN) and CAP_NET_ADMIN, and a kernel of 5.9 or
// newer. It ends with the descriptors, so with the process at the latest.
type steering struct {
	ports   int // map: both addresses and ports → worker
	sockets int // map: worker → its shared socket
	link    int
}

// newSteering attaches the program to the network namespace of the caller.
func newSteering(sockets []int) (_ *steering, err error) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		return nil, errors.New("steer media ports: only on 64 bit")
	}
	s := &steering{ports: -1, sockets: -1, link: -1}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.ports, err = newMap(unix.BPF_MAP_TYPE_HASH, steerKeyLen, 4, maxSteered, unix.BPF_F_NO_PREALLOC); err != nil {
		return nil, fmt.Errorf("steer media ports: table of ports: %w", err)
	}
	if s.sockets, err = newMap(unix.BPF_MAP_TYPE_SOCKMAP, 4, 8, uint32(len(sockets)), 0); err != nil {
		return nil, fmt.Errorf("steer media ports: table of sockets: %w", err)
	}
	for i, fd := range sockets {
		key, value := make([]byte, 4), make([]byte, 8)
		binary.NativeEndian.PutUint32(key, uint32(i))
		binary.NativeEndian.PutUint64(value, uint64(fd))
		if err = changeMap(unix.BPF_MAP_UPDATE_ELEM, s.sockets, key, value); err != nil {
			return nil, fmt.Errorf("steer media ports: socket of worker %d: %w", i, err)
		}
	}
	if s.link, err = attach(lookupProgram(s.ports, s.sockets)); err != nil {
		return nil, fmt.Errorf("steer media ports: %w", err)
	}
	return s, nil
}

// add steers what comes from a peer to a port to a worker.
func (s *steering) add(at, from netip.AddrPort, worker int) error {
	value := make([]byte, 4)
	binary.NativeEndian.PutUint32(value, uint32(worker))
	return changeMap(unix.BPF_MAP_UPDATE_ELEM, s.ports, steerKey(at, from), value)
}

// drop gives it back to the port's own socket.
func (s *steering) drop(at, from netip.AddrPort) error {
	return changeMap(unix.BPF_MAP_DELETE_ELEM, s.ports, steerKey(at, from), nil)
}

func (s *steering) close() {
	for _, fd := range [...]int{s.link, s.sockets, s.ports} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// steerKeyLen is the local address as it is on the wire, its port as a number; the
// remote address and port, both as on the wire.
const steerKeyLen = 16

func steerKey(at, from netip.AddrPort) []byte {
	local, remote := at.Addr().As4(), from.Addr().As4()
	key := make([]byte, steerKeyLen)
	copy(key, local[:])
	binary.NativeEndian.PutUint32(key[4:], uint32(at.Port()))
	copy(key[8:], remote[:])
	binary.BigEndian.PutUint16(key[12:], from.Port())
	return key
}

// mapAttr is union bpf_attr for maps.
type mapAttr struct {
	fd, _      uint32
	key, value unsafe.Pointer
	flags      uint64
}

func newMap(kind, keyLen, valueLen, entries, flags uint32) (int, error) {
	attr := [5]uint32{kind, keyLen, valueLen, entries, flags}
	return bpf(unix.BPF_MAP_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
}

// changeMap updates, or deletes if value is nil.
func changeMap(command, fd int, key, value []byte) error {
	attr := &mapAttr{fd: uint32(fd), key: unsafe.Pointer(&key[0])}
	if value != nil {
		attr.value = unsafe.Pointer(&value[0])
	}
	_, _, e := unix.RawSyscall(unix.SYS_BPF, uintptr(command), uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	return fault(e)
}

func bpf(command int, attr unsafe.Pointer, size uintptr) (int, error) {
	r, _, e := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
	if e != 0 {
		return -1, e
	}
	return int(r), nil
}

// instruction is struct bpf_insn.
type instruction struct {
	code      uint8
	registers uint8 // destination, source << 4
	offset    int16
	value     int32
}

// Fields of struct bpf_sk_lookup (linux/bpf.h).
const (
	lookupFamily     = 8
	lookupProtocol   = 12
	lookupRemoteIP4  = 16 // as on the wire
	lookupRemotePort = 36 // 16 bits, as on the wire
	lookupLocalIP4   = 40 // as on the wire
	lookupLocalPort  = 60 // as a number
)

// Helpers of the kernel (linux/bpf.h).
const (
	helperMapLookup = 1
	helperRelease   = 86
	helperAssign    = 124
)

// lookupProgram is, in C:
//
//	struct key k; u32 *worker; struct bpf_sock *sk;
//	if (ctx->protocol == IPPROTO_UDP && ctx->family == AF_INET) {
//		k = {ctx->local_ip4, ctx->local_port, ctx->remote_ip4, (u16)ctx->remote_port};
//		if ((worker = lookup(&ports, &k)) && (sk = lookup(&sockets, worker))) {
//			sk_assign(ctx, sk, 0); sk_release(sk);
//		}
//	}
//	return SK_PASS;
func lookupProgram(ports, sockets int) []instruction {
	// Conditional jumps all lead to the end, which is filled in below.
	const (
		load, storeReg, copyReg, set, add = 0x61, 0x63, 0xbf, 0xb7, 0x07
		and                               = 0x57
		unequal, equal, call, exit        = 0x55, 0x15, 0x85, 0x95
		loadMap, pseudoMap                = 0x18, 1 << 4
	)
	p := []instruction{
		{copyReg, 6 | 1<<4, 0, 0},
		{load, 2 | 6<<4, lookupProtocol, 0},
		{unequal, 2, 0, unix.IPPROTO_UDP},
		{load, 2 | 6<<4, lookupFamily, 0},
		{unequal, 2, 0, unix.AF_INET},
		{load, 2 | 6<<4, lookupLocalIP4, 0},
		{storeReg, 10 | 2<<4, -16, 0},
		{load, 2 | 6<<4, lookupLocalPort, 0},
		{storeReg, 10 | 2<<4, -12, 0},
		{load, 2 | 6<<4, lookupRemoteIP4, 0},
		{storeReg, 10 | 2<<4, -8, 0},
		{load, 2 | 6<<4, lookupRemotePort, 0},
		{and, 2, 0, 0xffff},
		{storeReg, 10 | 2<<4, -4, 0},
		{loadMap, 1 | pseudoMap, 0, int32(ports)}, {},
		{copyReg, 2 | 10<<4, 0, 0},
		{add, 2, 0, -steerKeyLen},
		{call, 0, 0, helperMapLookup},
		{equal, 0, 0, 0},
		{copyReg, 2 | 0<<4, 0, 0}, // the number in the table is the key of the next one
		{loadMap, 1 | pseudoMap, 0, int32(sockets)}, {},
		{call, 0, 0, helperMapLookup},
		{equal, 0, 0, 0},
		{copyReg, 7 | 0<<4, 0, 0},
		{copyReg, 1 | 6<<4, 0, 0},
		{copyReg, 2 | 7<<4, 0, 0},
		{set, 3, 0, 0},
		{call, 0, 0, helperAssign},
		{copyReg, 1 | 7<<4, 0, 0},
		{call, 0, 0, helperRelease},
		{set, 0, 0, 1},
		{exit, 0, 0, 0},
	}
	pass := len(p) - 2
	for i := range p {
		if c := p[i].code; c == unequal || c == equal {
			p[i].offset = int16(pass - i - 1)
		}
	}
	return p
}

// loadAttr is the part of union bpf_attr for BPF_PROG_LOAD up to the attach type.
type loadAttr struct {
	kind, count    uint32
	code, license  unsafe.Pointer
	_              [44]byte
	expectedAttach uint32
}

// attach loads the program and links it to the network namespace of this thread.
func attach(code []instruction) (int, error) {
	license := []byte("GPL\x00") // the helpers are for GPL programs only
	load := &loadAttr{
		kind: unix.BPF_PROG_TYPE_SK_LOOKUP, count: uint32(len(code)),
		code: unsafe.Pointer(&code[0]), license: unsafe.Pointer(&license[0]), expectedAttach: unix.BPF_SK_LOOKUP,
	}
	program, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(load), unsafe.Sizeof(*load))
	if err != nil {
		return -1, fmt.Errorf("load program: %w", err)
	}
	defer unix.Close(program) // the link holds it
	space, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("own network namespace: %w", err)
	}
	defer unix.Close(space)
	link := [3]uint32{uint32(program), uint32(space), unix.BPF_SK_LOOKUP}
	fd, err := bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&link), unsafe.Sizeof(link))
	if err != nil {
		return -1, fmt.Errorf("attach program to the network namespace: %w", err)
	}
	return fd, nil
}
