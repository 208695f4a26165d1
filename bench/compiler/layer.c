// A Vulkan layer for drivers that can compile without a card (RADV with RADV_FORCE_FAMILY), and that would crash at the first command:
// memory is the process's own, commands and their fences do nothing. What is left to the driver are devices and pipelines.
// After the Vulkan loader's "Layer Interface to the Loader", version 2.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

// One of each, for the one process that has one instance and one device.
static PFN_vkGetInstanceProcAddr driver_instance;
static PFN_vkGetDeviceProcAddr driver_device;

// Serves every function that may do nothing, whatever its parameters: a caller of void does not look at what it returns.
static VkResult succeed(void) { return VK_SUCCESS; }

// vkCreateX(device, info, allocator, handle): handles that nothing looks into.
static VkResult create(void* device, const void* info, const void* allocator, uint64_t* handle) {
  static uint64_t last = 0x1000;
  (void)device, (void)info, (void)allocator;
  *handle = ++last;
  return VK_SUCCESS;
}

static VkResult allocate_command_buffers(VkDevice device, const VkCommandBufferAllocateInfo* info, VkCommandBuffer* buffers) {
  (void)device;
  // Dispatchable: they begin with a pointer.
  for (uint32_t i = 0; i < info->commandBufferCount; i++) buffers[i] = calloc(1, sizeof(void*));
  return VK_SUCCESS;
}

// A buffer is nothing but its size.
static VkResult create_buffer(VkDevice device, const VkBufferCreateInfo* info, const void* allocator, VkDeviceSize** buffer) {
  (void)device, (void)allocator;
  *buffer = malloc(sizeof(VkDeviceSize));
  **buffer = (info->size + 255) / 256 * 256;
  return VK_SUCCESS;
}

static void destroy_buffer(VkDevice device, VkDeviceSize* buffer, const void* allocator) {
  (void)device, (void)allocator;
  free(buffer);
}

static void buffer_requirements(VkDevice device, VkDeviceSize* buffer, VkMemoryRequirements* requirements) {
  (void)device;
  *requirements = (VkMemoryRequirements){.size = *buffer, .alignment = 256, .memoryTypeBits = 1};
}

static void buffer_requirements_2(VkDevice device, const VkBufferMemoryRequirementsInfo2* info, VkMemoryRequirements2* requirements) {
  buffer_requirements(device, (VkDeviceSize*)info->buffer, &requirements->memoryRequirements);
}

static VkResult allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info, const void* allocator, void** memory) {
  (void)device, (void)allocator;
  *memory = calloc(1, info->allocationSize);
  return *memory ? VK_SUCCESS : VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

static void free_memory(VkDevice device, void* memory, const void* allocator) {
  (void)device, (void)allocator;
  free(memory);
}

static VkResult map_memory(VkDevice device, char* memory, VkDeviceSize offset, VkDeviceSize size, VkFlags flags, void** data) {
  (void)device, (void)size, (void)flags;
  *data = memory + offset;
  return VK_SUCCESS;
}

static void memory_properties(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties* properties) {
  (void)device;
  const VkMemoryPropertyFlags anything = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  *properties = (VkPhysicalDeviceMemoryProperties){
      .memoryTypeCount = 1,
      .memoryTypes = {{.propertyFlags = anything}},
      .memoryHeapCount = 1,
      .memoryHeaps = {{.size = 64ull << 30, .flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}},
  };
}

static void memory_properties_2(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2* properties) {
  memory_properties(device, &properties->memoryProperties);
}

// The link to the next layer, or to the driver, in what the loader passes to vkCreateInstance and vkCreateDevice.
static void* link_in(const void* chain, VkStructureType type) {
  VkLayerInstanceCreateInfo* info = (void*)chain;
  while (info && !(info->sType == type && info->function == VK_LAYER_LINK_INFO)) info = (void*)info->pNext;
  return info;
}

static VkResult create_instance(const VkInstanceCreateInfo* info, const VkAllocationCallbacks* allocator, VkInstance* instance) {
  VkLayerInstanceCreateInfo* link = link_in(info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  driver_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  return ((PFN_vkCreateInstance)driver_instance(NULL, "vkCreateInstance"))(info, allocator, instance);
}

static VkResult create_device(VkPhysicalDevice card, const VkDeviceCreateInfo* info, const VkAllocationCallbacks* allocator, VkDevice* device) {
  VkLayerDeviceCreateInfo* link = link_in(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  driver_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  return ((PFN_vkCreateDevice)next(NULL, "vkCreateDevice"))(card, info, allocator, device);
}

static PFN_vkVoidFunction instance_function(VkInstance instance, const char* name);
static PFN_vkVoidFunction device_function(VkDevice device, const char* name);

static const struct {
  const char* name;
  void* function;
} own[] = {
    {"vkGetInstanceProcAddr", instance_function},
    {"vkGetDeviceProcAddr", device_function},
    {"vkCreateInstance", create_instance},
    {"vkCreateDevice", create_device},
    {"vkGetPhysicalDeviceMemoryProperties", memory_properties},
    {"vkGetPhysicalDeviceMemoryProperties2", memory_properties_2},
    {"vkGetPhysicalDeviceMemoryProperties2KHR", memory_properties_2},
    {"vkAllocateMemory", allocate_memory},
    {"vkFreeMemory", free_memory},
    {"vkMapMemory", map_memory},
    {"vkUnmapMemory", succeed},
    {"vkFlushMappedMemoryRanges", succeed},
    {"vkInvalidateMappedMemoryRanges", succeed},
    {"vkCreateBuffer", create_buffer},
    {"vkDestroyBuffer", destroy_buffer},
    {"vkGetBufferMemoryRequirements", buffer_requirements},
    {"vkGetBufferMemoryRequirements2", buffer_requirements_2},
    {"vkGetBufferMemoryRequirements2KHR", buffer_requirements_2},
    {"vkBindBufferMemory", succeed},
    {"vkBindBufferMemory2", succeed},
    {"vkUpdateDescriptorSets", succeed},
    {"vkCreateCommandPool", create},
    {"vkDestroyCommandPool", succeed},
    {"vkResetCommandPool", succeed},
    {"vkAllocateCommandBuffers", allocate_command_buffers},
    {"vkFreeCommandBuffers", succeed},
    {"vkBeginCommandBuffer", succeed},
    {"vkEndCommandBuffer", succeed},
    {"vkResetCommandBuffer", succeed},
    {"vkQueueSubmit", succeed},
    {"vkQueueSubmit2", succeed},
    {"vkQueueWaitIdle", succeed},
    {"vkDeviceWaitIdle", succeed},
    {"vkCreateFence", create},
    {"vkDestroyFence", succeed},
    {"vkGetFenceStatus", succeed},
    {"vkWaitForFences", succeed},
    {"vkResetFences", succeed},
    {"vkCreateSemaphore", create},
    {"vkDestroySemaphore", succeed},
    {"vkCreateQueryPool", create},
    {"vkDestroyQueryPool", succeed},
    {"vkGetQueryPoolResults", succeed},
};

static PFN_vkVoidFunction replacement(const char* name) {
  if (strncmp(name, "vkCmd", 5) == 0) return (PFN_vkVoidFunction)succeed;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (strcmp(name, own[i].name) == 0) return (PFN_vkVoidFunction)own[i].function;
  return NULL;
}

static PFN_vkVoidFunction instance_function(VkInstance instance, const char* name) {
  PFN_vkVoidFunction function = replacement(name);
  return function || !driver_instance ? function : driver_instance(instance, name);
}

static PFN_vkVoidFunction device_function(VkDevice device, const char* name) {
  PFN_vkVoidFunction function = replacement(name);
  return function ? function : driver_device(device, name);
}

VkResult vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* interface) {
  interface->loaderLayerInterfaceVersion = 2;
  interface->pfnGetInstanceProcAddr = instance_function;
  interface->pfnGetDeviceProcAddr = device_function;
  interface->pfnGetPhysicalDeviceProcAddr = NULL;
  return VK_SUCCESS;
}
