"""Steps in Python: a query waits while a coroutine on the event-loop thread works on it.

    step in the chain: suspend ─► places of the thread, bounded ─► ring ─► a task on the event loop
          ▲                          │ at the timeout: SERVFAIL              │
          └──────── resume ◄─────────┴──────────────────── ring ◄────────────┘

``_step``      the native step that stands in the chain for a step in Python
``_service``   what such queries wait for: places, deadlines, shares of clients, the rings to the event loop

The interface for plugins is ``plugins/python.py``; ``plugins/tasks.py`` runs the tasks.

How it fails, each with its reason and its counter:

    no place is free, or no memory for the query    SERVFAIL at once ("in_flight"; shed: places)
    a client holds much of little that is free      SERVFAIL at once ("client_share"; shed: client_share)
    the ring to the event loop is full              SERVFAIL at once ("in_flight"; shed: ring)
    too many tasks are there that do not end        SERVFAIL ("in_flight"; shed: tasks)
    no answer within the step's timeout             SERVFAIL ("step_timeout"); the task is cancelled; what it says
                                                    later is of no place and changes nothing
    the step raises an exception                    SERVFAIL ("panic"), logged as the server's own would be
    the step returns what is no reply to the query  SERVFAIL ("step_reply"), logged
    the worker ends meanwhile                       SERVFAIL ("step_timeout")
    the worker dies meanwhile                       silence ("worker_died")
"""
