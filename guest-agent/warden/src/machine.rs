//! The warden as PID 1 of the machine.
