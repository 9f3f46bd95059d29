#include <errno.h>
#include "names.h"
#include "reg.h"
int arm32_alloc(struct arm32_state **state){(void)state;return -ENOMEM;}
void arm32_free(struct arm32_state *state){(void)state;}
int arm32_reset(struct vcpu *vcpu){(void)vcpu;return -EINVAL;}
int arm32_reg_get(struct vcpu *vcpu, uint64_t id, void *value, size_t *bytes){(void)vcpu;(void)id;(void)value;(void)bytes;return -EINVAL;}
int arm32_reg_set(struct vcpu *vcpu, uint64_t id, const struct reg_input *input){(void)vcpu;(void)id;(void)input;return -EINVAL;}
void arm32_reg_list(const struct vcpu *vcpu, struct reg_list *list){(void)vcpu;(void)list;}
int arm32_reg_describe(uint64_t id, struct kvmemu_reg_info *info){(void)id;(void)info;return -ENOENT;}
int arm32_reg_find(const char *n, struct kvmemu_reg_info *info){(void)n;(void)info;return -ENOENT;}
