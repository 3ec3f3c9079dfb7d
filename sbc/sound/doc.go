// Package sound is what is heard, as numbers: G.711 and G.722, two sampling rates,
// tones, key presses (DTMF), hold music, recordings and the mixing of several
// voices. It is pure: samples in, samples out. It must never know a packet, a
// socket, a clock or a call.
//
// A frame is 20 ms, 160 samples of 16 bit at 8000 Hz. G.711 and G.722 both have
// eight octets for each millisecond, and RTP counts G.722 at 8000 Hz though it
// carries 16000 (RFC 3551 4.5.2): one octet is one tick of the RTP clock in
// either, so what is transcoded keeps its length and its timestamps.
package sound

// Frame is how many samples a source yields at a time: 20 ms at 8000 Hz.
const Frame = 160

// Rate is the sampling rate of all linear sound but G.722's own, in hertz.
const Rate = 8000
