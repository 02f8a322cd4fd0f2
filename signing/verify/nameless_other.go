//go:build !linux

package verify

import "os"

// nameless is a file that no path leads to any longer.
func nameless() (*os.File, error) {
	file, err := os.CreateTemp("", "verify")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}
