"""The store: records, predictions and definitions, in one SQLite file or in PostgreSQL.

There are three ways to write, and `Store` chooses between them:

* **Group commit** (`writer.py`): one thread of the process takes all requests that wait and writes them in
  one transaction. Records are flushed to the disk before they are acknowledged; predictions are committed,
  so that they survive the end of the process. Everything that is not mentioned below is written this way.
* **Direct** (`direct_writer.py`): up to four predictions are written in the thread of the request, in 0.1 ms,
  when the database is a local file without another writer at that moment and no job waits for the writer.
* **Queue on disk** (`disk_queue.py`): while the circuit breaker is open, because the database is unavailable,
  predictions are appended to a small SQLite file that all processes of the machine share, flushed, and
  acknowledged as "queued". Records are refused then, so that their sender repeats them. `maintenance.py`
  tests the database every second, closes the breaker when it is back, and drains the queue through the
  writer. A prediction leaves the queue after it is committed to the database, and draining skips those
  that are stored already: none is lost and none is stored twice, wherever a process is killed.

`Store.write` is for the tables of the review pages: one durable transaction in the caller's thread.
This package imports nothing of `serving` but itself, the settings and the log.
"""
