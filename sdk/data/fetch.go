package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// FetchOptions says how [Fetch] downloads. The zero value is fit for use.
type FetchOptions struct {
	// Mirror is the address of a folder to download from instead of the official one. The checksums stay the same.
	Mirror string
	// Client makes the requests; nil means one that waits 30 s for an answer and takes proxies from the environment.
	Client *http.Client
	// Progress, if not nil, is told after each piece how many bytes of which file are there, and how many it has.
	Progress func(file string, done, total int64)
}

// Fetch downloads a data set by name (cifar10, fashion-mnist or mnist) into a folder of its own inside dir, where [CIFAR10],
// [FashionMNIST] and [MNIST] find it when given dir.
//
// Every download is checked against a SHA-256 checksum that is part of this package. A file appears under its final
// name whole and checked, or not at all; files that are there and right are left alone, so that a second call costs
// a read. What an interrupted call had received stays in a .part file, and the next call goes on from there.
// Let one Fetch at a time work in a folder.
func Fetch(ctx context.Context, name, dir string, o FetchOptions) error {
	known, err := Lookup(name)
	if err != nil {
		return err
	}
	if known.download == nil {
		return fmt.Errorf("data: %s needs no files: there is nothing to fetch", name)
	}
	f := fetcher{FetchOptions: o, patience: time.Minute, pause: time.Second}
	if f.Client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = 30 * time.Second
		defer transport.CloseIdleConnections()
		f.Client = &http.Client{Transport: transport}
	}
	if err := f.fetch(ctx, known.download, dir); err != nil {
		return fmt.Errorf("data: fetch %s: %w", name, err)
	}
	return nil
}

// fetcher carries out one Fetch.
type fetcher struct {
	FetchOptions
	patience time.Duration // how long a transfer may bring nothing
	pause    time.Duration // before the second try; doubled before each further one
}

func (f *fetcher) fetch(ctx context.Context, d *download, dir string) error {
	folder := filepath.Join(dir, d.folder)
	var missing []publishedFile
	for _, file := range d.files {
		if file.check(filepath.Join(folder, file.name)) != nil {
			missing = append(missing, file)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	base := d.address
	if f.Mirror != "" {
		base = strings.TrimSuffix(f.Mirror, "/") + "/"
	}
	if d.archive != nil {
		part := filepath.Join(dir, d.archive.name+".part")
		if err := f.download(ctx, base, *d.archive, part); err != nil {
			return err
		}
		if err := extract(part, dir, d); err != nil {
			return err
		}
		return os.Remove(part)
	}
	for _, file := range missing {
		final := filepath.Join(folder, file.name)
		if err := f.download(ctx, base, file, final+".part"); err != nil {
			return err
		}
		if err := os.Rename(final+".part", final); err != nil {
			return err
		}
	}
	return nil
}

// maxTries bounds the transfers in a row that bring nothing new.
const maxTries = 5

// download brings a file to part, going on from what part holds, and checks it.
//
// The checksum, not the server, decides whether the pieces belong together: where a file assembled over several
// calls fails it, the whole file is asked for once more.
func (f *fetcher) download(ctx context.Context, base string, file publishedFile, part string) error {
	for _, again := range []bool{true, false} {
		resumed := fileSize(part) > 0
		if err := f.transferAll(ctx, base+file.name, file, part); err != nil {
			return err
		}
		err := file.check(part)
		if err == nil {
			return nil
		}
		if removeErr := os.Remove(part); removeErr != nil {
			return removeErr
		}
		if !resumed || !again {
			return fmt.Errorf("%s: %w: the file at this address is not the published one", base+file.name, err)
		}
	}
	return nil
}

// transferAll repeats transfer until part has its full length, as long as part grows beyond what it ever was.
func (f *fetcher) transferAll(ctx context.Context, url string, file publishedFile, part string) error {
	pause, longest := f.pause, fileSize(part)
	for try := 1; ; try++ {
		err := f.transfer(ctx, url, file, part)
		var refused *refusal
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", url, context.Cause(ctx))
		case errors.As(err, &refused) || try == maxTries:
			return fmt.Errorf("%s: %w", url, err)
		case fileSize(part) > longest:
			try, pause, longest = 0, f.pause, fileSize(part)
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", url, context.Cause(ctx))
		}
	}
}

// refusal is an answer that asking again will not change.
type refusal struct{ status string }

func (r *refusal) Error() string { return "the server answered " + r.status }

// transfer makes one request and appends to part what comes. It returns nil when part has its full length.
func (f *fetcher) transfer(ctx context.Context, url string, file publishedFile, part string) error {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	have, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if have == file.size {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return &refusal{err.Error()}
	}
	request.Header.Set("Accept-Encoding", "identity") // the bytes of the file, not a compressed form of them
	if 0 < have && have < file.size {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	answer, err := f.Client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch status := answer.StatusCode; {
	case status == http.StatusPartialContent && strings.HasPrefix(answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case status == http.StatusOK:
		have = 0 // all of it: the server ignores ranges, or there was nothing to go on from
	case status == http.StatusPartialContent, status == http.StatusRequestedRangeNotSatisfiable:
		return errors.Join(fmt.Errorf("the server answered %s for bytes %d to %d", answer.Status, have, file.size), out.Truncate(0))
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return fmt.Errorf("the server answered %s", answer.Status)
	default:
		return &refusal{answer.Status}
	}
	if err := out.Truncate(have); err != nil {
		return err
	}
	if _, err := out.Seek(have, io.SeekStart); err != nil {
		return err
	}
	stalled := time.AfterFunc(f.patience, func() { cancel(fmt.Errorf("no data for %v", f.patience)) })
	defer stalled.Stop()
	report := writerFunc(func(piece []byte) (int, error) {
		stalled.Reset(f.patience)
		n, err := out.Write(piece)
		have += int64(n)
		if f.Progress != nil {
			f.Progress(file.name, have, file.size)
		}
		return n, err
	})
	_, err = io.Copy(report, io.LimitReader(answer.Body, file.size+1-have))
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case have > file.size:
		return errors.Join(fmt.Errorf("the server sent more than the %d bytes of the file", file.size), out.Truncate(0))
	case have < file.size:
		return fmt.Errorf("the transfer ended after %d of %d bytes: %w", have, file.size, io.ErrUnexpectedEOF)
	}
	return out.Close()
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// check returns nil if the file at path is the published one.
func (p publishedFile) check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	if err != nil {
		return err
	}
	if p.sha256 == "" && n > 0 {
		return nil
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != p.sha256 {
		return fmt.Errorf("%s: expected %d bytes with SHA-256 %s, got %d bytes with %s", path, p.size, p.sha256, n, got)
	}
	return nil
}
