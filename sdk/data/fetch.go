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

// FetchOptions are the options of [Fetch]. The zero value is ready to use.
type FetchOptions struct {
	// Mirror is the URL of a directory to download from. Empty means the official address. The
	// checksums are the same for both.
	Mirror string
	// Client makes the requests. Nil means a client that waits 30 s for a response and takes
	// proxies from the environment.
	Client *http.Client
	// Progress, if not nil, is called after each piece of a file with the name of the file, the
	// number of bytes received so far and the size of the file.
	Progress func(file string, done, total int64)
}

// Fetch downloads a published data set by name (cifar10, fashion-mnist or mnist) into a
// subdirectory of dir. [CIFAR10], [FashionMNIST] and [MNIST] find it there when they are called
// with dir.
//
// Fetch compares every file with a SHA-256 checksum that is part of this package, and gives it its
// final name only after that. It does not download files that are complete, so a second call only
// reads them. The bytes that an interrupted call has received remain in a .part file, and the next
// call continues there. Do not run several calls for one directory at the same time.
func Fetch(ctx context.Context, name, dir string, o FetchOptions) error {
	known, err := Lookup(name)
	if err != nil {
		return err
	}
	if known.download == nil {
		return fmt.Errorf("data: %s has no files to fetch", name)
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

// A fetcher is the state of one Fetch.
type fetcher struct {
	FetchOptions
	patience time.Duration // the longest time without data in a transfer
	pause    time.Duration // before the second try; doubled before each further try
}

func (f *fetcher) fetch(ctx context.Context, d *download, dir string) error {
	directory := filepath.Join(dir, d.directory)
	var missing []publishedFile
	for _, file := range d.files {
		if file.check(filepath.Join(directory, file.name)) != nil {
			missing = append(missing, file)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
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
		final := filepath.Join(directory, file.name)
		if err := f.download(ctx, base, file, final+".part"); err != nil {
			return err
		}
		if err := os.Rename(final+".part", final); err != nil {
			return err
		}
	}
	return nil
}

// maxTries is the largest number of consecutive transfers without new data.
const maxTries = 5

// download completes the file part, which may contain the beginning of the file already, and checks
// it.
//
// Only the checksum shows whether the pieces of several transfers belong together. If such a file
// has another checksum, download requests the whole file once more.
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
			return fmt.Errorf("%s: the file at this address is not the published one: %w", base+file.name, err)
		}
	}
	return nil
}

// transferAll repeats transfer until part has its full length. It returns an error after maxTries
// transfers in which part did not become longer than ever before.
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

// A refusal is a response that another try will not change.
type refusal struct{ status string }

func (r *refusal) Error() string { return "the response is " + r.status }

// transfer makes one request and appends the response to part. It returns nil when part has its
// full length.
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
	response, err := f.request(ctx, url, have, file.size)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	restart, refused := checkStatus(response, have, file.size)
	if restart {
		have = 0
		if err := out.Truncate(0); err != nil {
			return err
		}
	}
	if refused != nil {
		return refused
	}
	if _, err := out.Seek(have, io.SeekStart); err != nil {
		return err
	}
	stalled := time.AfterFunc(f.patience, func() { cancel(fmt.Errorf("no data for %v", f.patience)) })
	defer stalled.Stop()
	receive := writerFunc(func(piece []byte) (int, error) {
		stalled.Reset(f.patience)
		n, err := out.Write(piece)
		have += int64(n)
		if f.Progress != nil {
			f.Progress(file.name, have, file.size)
		}
		return n, err
	})
	_, err = io.Copy(receive, io.LimitReader(response.Body, file.size+1-have))
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case have > file.size:
		if err := out.Truncate(0); err != nil {
			return err
		}
		return fmt.Errorf("the response has more than the %d bytes of the file", file.size)
	case have < file.size:
		return fmt.Errorf("the transfer ended after %d of %d bytes: %w", have, file.size, io.ErrUnexpectedEOF)
	}
	return out.Close()
}

// request asks for a file of the given size from byte have on, or for the whole file if have is not
// inside it.
func (f *fetcher) request(ctx context.Context, url string, have, size int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, &refusal{err.Error()}
	}
	request.Header.Set("Accept-Encoding", "identity") // the bytes of the file, without compression
	if 0 < have && have < size {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	return f.Client.Do(request)
}

// checkStatus returns an error if the response contains no part of the file that continues at byte
// have. restart reports that the bytes received so far are of no use: the response contains the
// whole file, or the server cannot continue at have.
func checkStatus(response *http.Response, have, size int64) (restart bool, err error) {
	switch status := response.StatusCode; {
	case status == http.StatusPartialContent && strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
		return false, nil
	case status == http.StatusOK:
		return true, nil
	case status == http.StatusPartialContent, status == http.StatusRequestedRangeNotSatisfiable:
		return true, fmt.Errorf("the response to a request for bytes %d to %d is %s", have, size, response.Status)
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return false, fmt.Errorf("the response is %s", response.Status)
	}
	return false, &refusal{response.Status}
}

// writerFunc is a function as an io.Writer.
type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

// fileSize returns the size of a file, 0 if there is none.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// check returns an error if the file at path is not the published one.
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
		return fmt.Errorf("%s: want %d bytes with SHA-256 %s, got %d bytes with %s", path, p.size, p.sha256, n, got)
	}
	return nil
}
