# SPDX-License-Identifier: MIT
# The core, built for tests of it: a directory a compiler and sanitizer. Included by tests/c and tests/fuzz.
#   CC=clang    SAN=address,undefined    SAN=thread    CFLAGS=...

ROOT := ../..
SAN ?=
CFLAGS ?= -O1 -g
comma := ,
VARIANT := $(notdir $(firstword $(CC)))$(if $(SAN),-$(subst $(comma),-,$(SAN)))
BUILD := $(ROOT)/build/tests-c/$(VARIANT)

FLAGS := -std=gnu11 -fPIC -fvisibility=hidden -pthread -fno-omit-frame-pointer -I$(ROOT)/include \
	-Wall -Wextra -Werror $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)

# All of the core. The preload library replaces functions of libc: not in a program that tests the core.
CORE := $(filter-out $(ROOT)/csrc/preload/%,$(wildcard $(ROOT)/csrc/*/*.c))
CORE_OBJS := $(CORE:$(ROOT)/%.c=$(BUILD)/%.o)
HEADERS := $(wildcard $(ROOT)/include/*.h $(ROOT)/include/*/*.h $(ROOT)/include/*/*/*.h $(ROOT)/csrc/*/*.h *.h)

$(BUILD)/libkvmemu.so: $(CORE_OBJS)
	@$(CC) $(FLAGS) -shared -o $@ $^

$(BUILD)/csrc/%.o: $(ROOT)/csrc/%.c $(HEADERS)
	@mkdir -p $(@D)
	@$(CC) $(FLAGS) -c -o $@ $<
