// Package ng speaks rtpengine's control protocol: the bench compares with an
// rtpengine, and tests of media have one as the far side. It knows the words of the
// protocol and nothing of what they mean.
package ng
