package main

import (
	"errors"
	"os"
	"slices"
	"syscall"

	"github.com/pelletier/go-toml/v2"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// added is what commands write into the settings file, with the keys of Settings and
// without those that say nothing.
type added struct {
	Communes []addedCommune `toml:"commune,omitempty"`
	Seals    []addedSeal    `toml:"seal,omitempty"`
}

type addedCommune struct {
	ID       commune.ID               `toml:"id"`
	Country  string                   `toml:"country,omitempty"`
	NIS      string                   `toml:"nis"`
	Name     map[i18n.Language]string `toml:"name,inline"`
	Origins  []string                 `toml:"origins"`
	Regime   commune.Regime           `toml:"language_regime"`
	Training bool                     `toml:"training,omitempty"`
	Theme    *addedTheme              `toml:"theme,omitempty"`
	Contact  *addedContact            `toml:"contact,omitempty"`
}

type addedTheme struct {
	Brand   string `toml:"brand"`
	OnBrand string `toml:"on_brand,omitempty"`
}

type addedContact struct {
	Street string `toml:"street,omitempty"`
	City   string `toml:"city,omitempty"`
	Phone  string `toml:"phone,omitempty"`
	Email  string `toml:"email,omitempty"`
}

type addedSeal struct {
	Commune  commune.ID `toml:"commune"`
	Module   string     `toml:"module"`
	Token    string     `toml:"token"`
	Serial   string     `toml:"serial,omitempty"`
	Key      string     `toml:"key"`
	PINFile  string     `toml:"pin_file"`
	Chain    string     `toml:"chain"`
	Operator bool       `toml:"operator,omitempty"`
	Level    string     `toml:"level"`
}

// add writes more tables at the end of the settings file, where they belong to nothing
// else and leave every comment of the operator's alone. The file is put in place only
// once it reads well as a whole; it stays its owner's.
func (s *Settings) add(more added) error {
	text, err := toml.Marshal(more)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	fresh, err := os.CreateTemp(s.folder, ".belfry-*.toml") // in the same folder: relative paths start there
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name())
	_, err = fresh.Write(slices.Concat(old, []byte("\n"), text))
	if err := errors.Join(err, likeOld(fresh, s.file), fresh.Sync(), fresh.Close()); err != nil {
		return err
	}
	if _, err := loadSettings(fresh.Name()); err != nil {
		return err
	}
	return os.Rename(fresh.Name(), s.file)
}

// likeOld gives a new file the mode and the owner of the one whose place it takes: an
// administrator adds as root what the service reads as itself.
func likeOld(fresh *os.File, old string) error {
	info, err := os.Stat(old)
	if err != nil {
		return err
	}
	if err := fresh.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return fresh.Chown(int(owner.Uid), int(owner.Gid))
}
