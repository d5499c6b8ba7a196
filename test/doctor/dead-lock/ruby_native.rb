# SPDX-License-Identifier: MIT
# After grpc/grpc#10658: a thread of Ruby's has a mutex of a C library, which Ruby knows nothing of.
# finds: dead-lock
require "fiddle"

libc = Fiddle.dlopen(nil)
lock = Fiddle::Function.new(libc["pthread_mutex_lock"], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT)
alarm = Fiddle::Function.new(libc["alarm"], [Fiddle::TYPE_INT], Fiddle::TYPE_INT)
mutex = "\0" * 64 # PTHREAD_MUTEX_INITIALIZER

held, leave = IO.pipe, IO.pipe
holder = Thread.new do
  lock.call(mutex)
  held[1].write(".")
  leave[0].read(1)
end
held[0].read(1)
child = fork do
  trap("ALRM", "SYSTEM_DEFAULT")
  alarm.call(20)
  lock.call(mutex)
  exit!(0)
end
Process.wait(child)
leave[1].write(".")
holder.join
